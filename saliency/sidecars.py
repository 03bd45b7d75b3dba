"""XMP sidecars with a star rating, which photo managers read beside a photo.

The name is `photo.jpg.xmp`: darktable, digiKam (where reading of sidecars is switched on) and
Immich look for it. Lightroom Classic reads sidecars of raw files alone, under any name.
"""

import re
from pathlib import Path

_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="aesthetic-saliency">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{stars}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""

_RATED = re.compile(rb"""xmp:Rating\s*(=\s*["']|>)\s*(-1|[1-5])""")
"""A rating inside a photo, where XMP is plain text in every format; 0 is none, -1 is rejected."""


def sidecar_of(photo: Path) -> Path:
    """Return the name of a photo's sidecar: photo.jpg.xmp."""
    return photo.with_name(f"{photo.name}.xmp")


def write_rating(photo: Path, stars: int) -> str | None:
    """Write a sidecar with a star rating, unless it could hide what somebody said of the photo.

    Nothing that exists is changed: neither a sidecar of either name (programs that read
    `photo.jpg.xmp` would then ignore `photo.xmp`) nor the photo.

    Args:
        photo: The photo, which stays as it is.
        stars: 1..5.

    Returns:
        None if the sidecar is there and says so; else the reason why it was not written.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    sidecar = sidecar_of(photo)
    packet = _PACKET.format(stars=stars).encode()
    for present in (sidecar, photo.with_suffix(".xmp")):
        if present.exists():
            same = present == sidecar and present.read_bytes() == packet
            return None if same else f"{present} exists"
    if _RATED.search(photo.read_bytes()):
        return f"{photo} has a rating inside"
    try:
        with sidecar.open("xb") as file:  # fails where another program was faster
            file.write(packet)
    except FileExistsError:
        return f"{sidecar} exists"
    return None
