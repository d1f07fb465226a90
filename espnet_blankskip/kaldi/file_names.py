"""What the file of an utterance is called, whose id may be anything but a blank."""

import hashlib
import re

#: With a suffix and what a program may add to it, names stay below the 255 bytes that
#: file systems allow.
MAX_BYTES = 200


def file_stem(utt_id: str) -> str:
    """Name for an utterance's file, without its suffix; another id, another name.

    Args:
        utt_id: The id. Where it has a slash, a dot first or is too long, the name is
            its beginning and a digest of it; otherwise it is the id.
    """
    plain = re.sub(r"^\.|[/\0]", "_", utt_id)
    content = plain.encode("utf-8")
    if plain == utt_id and len(content) <= MAX_BYTES:
        return utt_id
    digest = hashlib.sha256(utt_id.encode("utf-8")).hexdigest()[:16]
    begin = content[: MAX_BYTES - len(digest) - 1].decode("utf-8", "ignore")
    return f"{begin}-{digest}"
