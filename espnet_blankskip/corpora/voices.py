"""Which of espeak-ng's voices speak the synthetic corpora.

Robots, whispers and effects are left out, and so are the few variants whose sound
changes from one run to the next. No variant speaks in two sets.
"""

from typing import Dict, Tuple

#: British, American, Scottish, Caribbean and three regional accents.
ACCENTS = (
    "en-us",
    "en",
    "en-gb-scotland",
    "en-029",
    "en-gb-x-rp",
    "en-us-nyc",
    "en-gb-x-gbclan",
)

VARIANTS: Dict[str, Tuple[str, ...]] = {
    name: tuple(variants.split())
    for name, variants in {
        "train_nodev": """
            Alex Alicia Andy Annie Denis Diogo Gene Gene2 Hugo Jacky Lee Mario Michael
            Mike Nguyen Storm adam antonio aunty belinda benjamin boris david ed edward
            f1 f2 f4 f5 grandma gustave ian iven iven3 john kaukovalta klatt klatt3
            linda m1 m2 m3 m4 m5 m7 marcelo max michel norbert pablo paul pedro quincy
            rob sandro shelby steph steph3""",
        "train_dev": "Andrea edward2 f3 iven2 klatt2 m6 miguel travis",
        "test": "Marco anika grandpa iven4 klatt4 m8 mike2 robert steph2 victor",
    }.items()
}

#: Five voices that stand in for FSDD's speakers when there are no human recordings.
DIGIT_SPEAKERS = ("Alex", "f2", "klatt3", "m3", "steph")
