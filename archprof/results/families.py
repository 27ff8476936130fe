"""Which networks belong together: the one rule for colours, legends and fits. Standard library only.

A source's own grouping (`ArchitectureResult.family`) is the file or package that a network came from: it splits
MobileNet into versions, puts plain networks beside the residual ones that they are contrasted with, and differs
from source to source. What readers compare is the design, which the name tells.
"""

from __future__ import annotations

import re

#: Beginning of a word in a name -> family. The first that is found decides, so longer words stand first.
KNOWN = {
    "alexnet": "alexnet",
    "vgg": "vgg",
    "googlenet": "inception",
    "inception": "inception",
    "resnext": "resnext",
    "resnet": "resnet",
    "plain": "plain",
    "densenet": "densenet",
    "squeezenet": "squeezenet",
    "mobilenet": "mobilenet",
    "nin": "nin",
    "enet": "enet",
}

#: Twins of a known family that differ in what the family is known for.
_TWINS = {"mobilenetv1conv": "mobilenet (standard)"}


def family_of(name: str, family: str = "") -> str:
    """The family of a network called `name` that its source files under `family`.

    A known one in `name` (its first word before the others), else in `family`; else `family` as it is, else the
    name's first letters. Sources and options are no part of it: 'mobilenetv1(width=0.5)@160' and
    'torchvision:mobilenet_v2' are one family, 'torchvision:regnet_y_400mf' is of 'regnet'.
    """
    bare = re.split(r"[(@]", name, maxsplit=1)[0].rpartition(":")[2].lower()
    if twin := _TWINS.get(re.sub(r"[^a-z0-9]", "", bare)):
        return twin
    for text in (bare, family.lower()):
        words = [word for word in re.split("[^a-z]+", text) if word]
        for candidates in (words[:1], words):
            for word in candidates:
                if known := next((KNOWN[key] for key in KNOWN if word.startswith(key)), None):
                    return known
    if family:
        return family
    stem = re.match(r"[a-z]+", bare)
    return stem[0] if stem else name
