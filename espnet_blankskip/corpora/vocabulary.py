"""Words of the synthetic corpus, in groups that sentences draw from."""

from typing import Dict, Tuple

UNITS = "zero one two three four five six seven eight nine".split()
TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
    " thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()

_GROUPS = {
    "month": """
        january february march april may june july august september october november
        december""",
    "weekday": "monday tuesday wednesday thursday friday saturday sunday",
    "given_name": """
        maria peter anna james linda robert susan david karen thomas nancy daniel
        betty matthew helen anthony sandra mark donna steven carol paul ruth andrew
        sharon joshua michelle kenneth laura kevin sarah brian kimberly george deborah
        edward jessica ronald cynthia timothy angela jason melissa jeffrey brenda ryan
        amy jacob rebecca gary virginia nicholas kathleen eric pamela jonathan martha
        stephen debra larry amanda justin stephanie scott carolyn brandon christine
        benjamin marie samuel janet gregory catherine frank frances raymond alexander
        christina patrick joan jack evelyn dennis judith jerry megan tyler andrea
        aaron cheryl henry hannah nathan jacqueline douglas gloria adam teresa zachary
        alice walter julia oliver sophie felix emma hugo clara leon ida oscar nina""",
    "family_name": """
        smith johnson williams brown jones miller davis wilson anderson taylor moore
        jackson martin lee thompson white harris clark lewis robinson walker young
        allen king wright hill green baker nelson carter mitchell roberts turner
        phillips campbell parker evans edwards collins stewart morris murphy cook
        rogers morgan cooper peterson bailey reed kelly howard ward richardson watson
        brooks bennett gray hughes price sanders myers long foster powell jenkins
        perry russell sullivan fisher henderson coleman simmons patterson jordan
        reynolds hamilton graham""",
    "city": """
        london paris berlin madrid rome vienna dublin oslo athens lisbon prague warsaw
        budapest brussels helsinki stockholm copenhagen geneva milan venice naples
        hamburg munich boston chicago houston dallas denver seattle portland atlanta
        miami detroit phoenix toronto montreal vancouver tokyo osaka kyoto seoul
        beijing shanghai bangkok delhi mumbai cairo nairobi sydney melbourne auckland
        lima bogota havana manila jakarta singapore edinburgh glasgow manchester
        liverpool bristol oxford cambridge""",
    "country": """
        france germany spain italy austria ireland norway greece portugal poland
        hungary belgium finland sweden denmark switzerland canada mexico brazil
        argentina chile peru japan korea china india thailand vietnam egypt kenya
        morocco australia turkey iceland scotland england""",
    "place": """
        airport station harbor bridge library museum theater cinema market bakery
        pharmacy hospital school university church castle tower palace square park zoo
        beach lake river mountain valley forest village hotel restaurant cafe garage
        factory stadium court prison office bank bookshop playground cemetery
        lighthouse farm mill orchard""",
    "room": """
        kitchen bedroom bathroom hallway attic basement balcony nursery garden cellar
        porch study lounge pantry""",
    "device": """
        light lamp heater fan radio television oven fridge dishwasher alarm camera
        printer speaker curtain blind kettle toaster vacuum computer projector router
        doorbell thermostat sprinkler freezer""",
    "color": """
        red blue yellow black orange purple pink silver golden crimson violet beige
        scarlet turquoise maroon""",
    "animal": """
        dog cat horse cow sheep goat pig chicken duck goose rabbit mouse squirrel fox
        wolf bear deer eagle owl sparrow raven swan frog snake turtle lizard dolphin
        whale shark salmon trout lobster spider beetle butterfly ladybug elephant
        giraffe lion tiger leopard monkey zebra camel donkey penguin kangaroo
        hedgehog""",
    "food": """
        bread butter cheese ham soup salad pasta rice potato tomato onion garlic
        carrot cabbage spinach pepper cucumber mushroom lemon apple pear plum cherry
        grape banana peach melon strawberry raspberry walnut almond honey sugar salt
        vinegar mustard pancake waffle omelet sandwich pizza noodles dumpling curry
        stew pudding chocolate vanilla yogurt""",
    "drink": "coffee tea milk water juice lemonade cocoa cider beer wine",
    "thing": """
        book pencil paper envelope letter parcel ticket map key wallet umbrella jacket
        coat shirt trousers sweater scarf gloves hat shoes boots socks blanket pillow
        mattress chair table sofa shelf drawer cupboard mirror carpet candle basket
        bucket broom ladder hammer screwdriver nail rope tape scissors needle thread
        button zipper bottle cup plate bowl fork spoon knife kitchenware napkin
        bicycle tractor truck engine wheel tire battery cable plug switch keyboard
        screen telephone notebook newspaper magazine dictionary calendar clock watch
        ring necklace guitar piano violin trumpet drum flute whistle kite balloon
        puzzle telescope microscope compass lantern tent backpack suitcase""",
    "person": """
        teacher doctor nurse lawyer judge farmer fisherman carpenter plumber
        electrician painter baker butcher waiter tailor barber gardener driver pilot
        sailor soldier engineer architect scientist chemist journalist editor author
        actor singer dancer musician artist librarian secretary manager clerk cashier
        mechanic firefighter detective mayor president minister neighbor cousin uncle
        aunt nephew niece grandmother grandfather brother sister student apprentice
        customer visitor""",
    "adjective": """
        big small old new short tall wide narrow heavy bright dark warm cold hot cool
        dry wet clean dirty empty full quiet loud fast slow soft hard sharp smooth
        rough thick thin deep shallow early late cheap expensive rich poor strong weak
        brave clever curious friendly gentle honest polite proud patient careful lazy
        nervous hungry thirsty tired sleepy happy sad angry lonely famous strange
        ordinary useful broken modern ancient wooden plastic metal electric beautiful
        ugly pleasant terrible wonderful dangerous comfortable invisible remarkable""",
    "adverb": """
        quickly slowly quietly loudly carefully suddenly finally usually often rarely
        always never again today tomorrow yesterday tonight immediately later soon
        gently happily sadly politely secretly together alone outside upstairs""",
    "transitive": """
        bought sold found lost carried painted repaired washed opened closed cleaned
        dropped borrowed returned ordered measured counted collected delivered
        described designed discovered examined forgot hid invented kept lifted moved
        noticed packed photographed polished prepared pulled pushed received
        remembered removed replaced shook stole stored studied touched unpacked wanted
        weighed wrapped""",
    "intransitive": """
        laughed smiled waited slept arrived left worked walked ran danced sang
        whispered shouted cried listened traveled rested disappeared stumbled jumped
        agreed complained hesitated apologized returned hurried succeeded failed""",
    "weather": """
        rain snow fog wind sunshine thunder hail frost clouds drizzle lightning storms
        showers sleet""",
    "genre": """
        jazz rock blues opera folk classical disco techno reggae country soul swing""",
    "subject": """
        history geography physics chemistry biology mathematics music poetry grammar
        economics philosophy astronomy geology medicine""",
    "sport": """
        football tennis basketball hockey cricket rugby golf volleyball swimming
        skiing sailing rowing boxing fencing chess""",
    "material": "wood stone glass steel copper leather cotton wool silk clay marble",
    "unit": """
        meters kilometers miles inches feet grams kilograms pounds liters gallons
        seconds minutes hours days weeks months years degrees percent""",
    "currency": "dollars euros pounds francs crowns yen cents",
}

#: Words of each group, in a fixed order.
WORDS: Dict[str, Tuple[str, ...]] = {
    group: tuple(words.split()) for group, words in _GROUPS.items()
}
