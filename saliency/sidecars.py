"""XMP sidecars with a star rating, which photo managers read beside a photo.

The name is `photo.jpg.xmp`: darktable, digiKam (where reading of sidecars is switched on) and
Immich look for it. Lightroom Classic reads sidecars only of raw files, whatever their name.
"""

from pathlib import Path

from saliency.embedded_ratings import is_rated

_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="aesthetic-saliency">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{stars}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def sidecar_of(photo: Path) -> Path:
    """Return the name of a photo's sidecar: photo.jpg.xmp."""
    return photo.with_name(f"{photo.name}.xmp")


class SidecarFolders:
    """Finds sidecars, in upper or lower case; each folder is listed only once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, photo: Path) -> Path | None:
        """Return the sidecar of a photo: photo.jpg.xmp or photo.xmp, in upper or lower case."""
        folder = photo.parent
        if folder not in self._names:
            self._names[folder] = {path.name.casefold(): path.name for path in folder.iterdir()}
        names = self._names[folder]
        for name in (sidecar_of(photo).name, photo.with_suffix(".xmp").name):
            for path in (photo.with_name(name), photo.with_name(names.get(name.casefold(), name))):
                if path.exists() or path.is_symlink():
                    return path
        return None


def write_rating(photo: Path, stars: int, folders: SidecarFolders | None = None) -> str | None:
    """Write a sidecar with a star rating, unless it could hide a rating that somebody gave.

    Nothing that exists is changed: neither a sidecar of either name (programs that read
    `photo.jpg.xmp` would then ignore `photo.xmp`) nor the photo.

    Args:
        photo: The photo, which is not changed.
        stars: 1..5.
        folders: Known sidecars, to be shared by all calls if many photos are rated.

    Returns:
        None if the sidecar was written or holds the same rating; else the reason why it was not
        written.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    sidecar = sidecar_of(photo)
    packet = _PACKET.format(stars=stars).encode()
    present = (folders or SidecarFolders()).find(photo)
    if present is not None:
        same = present == sidecar and present.is_file() and present.read_bytes() == packet
        return None if same else f"{present} exists"
    if is_rated(photo):
        return f"{photo} has a rating inside"
    try:
        file = sidecar.open("xb")  # fails if another program was faster
    except FileExistsError:
        return f"{sidecar} exists"
    try:
        with file:
            file.write(packet)
    except BaseException:
        sidecar.unlink(missing_ok=True)  # a part of it would count as somebody's sidecar
        raise
    return None
