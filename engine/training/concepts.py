"""What the default model learns to draw: its concepts, their names, and the captions they are trained under."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.training.render import Picture

__all__ = ["Concept", "caption", "collect_concepts", "varied_pictures"]

STYLE = "fluent"  # the autoencoder learns both styles, the U-Net has time for one

# Each name is what a prompt calls the thing; where the emoji's own label differs, it follows a colon.
ANIMALS = """
cat:cat face, dog:dog face, panda, frog, penguin, pig:pig face, cow:cow face, rabbit:rabbit face, mouse:mouse
face, monkey:monkey face, lion, tiger:tiger face, bear, koala, fox, unicorn, chick:baby chick, owl, elephant,
fish, whale:spouting whale, dolphin, octopus, crab, turtle, snail, butterfly, bee:honeybee, ladybug:lady beetle,
snake, dinosaur:T-Rex, duck
"""
PLANTS = """
sunflower, rose, tulip, cactus, palm tree, tree:deciduous tree, pine tree:evergreen tree, mushroom, four leaf
clover
"""
FOOD = """
red apple, green apple, banana, pear, lemon, orange:tangerine, watermelon, grapes, strawberry, cherries,
pineapple, peach, tomato, carrot, eggplant, broccoli, corn:ear of corn, cheese:cheese wedge, avocado, hamburger,
pizza, hot dog, french fries, doughnut, cookie, birthday cake, cupcake, ice cream:soft ice cream, coffee:hot
beverage, beer:beer mug
"""
THINGS = """
house, castle, car:automobile, bus, bicycle, airplane, rocket, sailboat, sun, crescent moon, cloud, rainbow,
snowflake, snowman:snowman without snow, fire, water drop:droplet, umbrella, lightning:high voltage, guitar,
drum, key, padlock:locked, bell, light bulb, book:closed book, pencil, scissors, camera, television,
phone:mobile phone, gift:wrapped gift, balloon, Christmas tree, pumpkin:jack-o-lantern, crown, diamond:gem
stone, t-shirt, soccer ball, basketball, trophy, teddy bear, alarm clock, magnet, envelope
"""
FLAGS = "Japan, France, Germany, Italy, Ukraine, Sweden, Switzerland, Canada, Brazil, China, Poland, Spain"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

SYNONYMS = {
    "cat": ("kitten", "kitty"), "dog": ("puppy",), "pig": ("piglet",), "rabbit": ("bunny",), "horse": ("pony",),
    "chick": ("baby bird",), "dinosaur": ("t-rex",), "ladybug": ("ladybird", "lady beetle"), "bee": ("honeybee",),
    "car": ("automobile",), "airplane": ("plane",), "rocket": ("spaceship",), "sailboat": ("boat",),
    "lightning": ("lightning bolt", "thunderbolt"), "television": ("tv",), "phone": ("smartphone", "mobile phone"),
    "gift": ("present",), "diamond": ("gem stone", "jewel"), "soccer ball": ("football",), "hamburger": ("burger",),
    "doughnut": ("donut",), "coffee": ("cup of tea", "hot drink"), "beer": ("mug of beer",), "bicycle": ("bike",),
    "wine": ("glass of wine",), "crescent moon": ("moon",), "padlock": ("lock",), "pine tree": ("fir tree",),
    "teddy bear": ("plush toy",), "fire engine": ("fire truck",), "fire": ("flame",), "corn": ("maize",),
    "pumpkin": ("jack-o-lantern", "halloween"), "Christmas tree": ("xmas tree",), "house": ("home",),
    "crocodile": ("alligator",), "bat": ("flying bat",), "book": ("red book",), "laptop": ("computer",),
    "sun": ("sunshine",), "water drop": ("droplet",), "trophy": ("cup prize",), "cherries": ("cherry",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing to draw: its name, the family it is scored in, other words for it, tags, and its picture's index."""

    name: str
    family: str
    synonyms: tuple[str, ...]
    tags: tuple[str, ...]
    picture: int


def collect_concepts(pictures: Sequence[Picture]) -> list[Concept]:
    """Return every concept with the indices of its pictures; raises KeyError where a package lacks one."""
    index = {(picture.source, picture.label): position for position, picture in enumerate(pictures)}
    wanted: list[tuple[str, str, str]] = []
    for family, names in (("animal", ANIMALS), ("plant", PLANTS), ("food", FOOD), ("thing", THINGS)):
        wanted += [(family, *_split(entry)) for entry in names.replace("\n", " ").split(",")]
    wanted += [("digit", f"number {digit}", f"keycap: {digit}") for digit in range(10)]
    tags = _own_tags(wanted, pictures, index)
    concepts = [
        Concept(name, family, _synonyms(name, family), tags.get(name, ()), _picture(label, index))
        for family, name, label in wanted
    ]
    for country in FLAGS.split(", "):
        label = f"flag of {country}"
        concepts.append(Concept(label, "flag", (f"{country} flag",), (), index["flag", label]))
    for position, picture in enumerate(pictures):
        if picture.source == "shape":
            concepts.append(Concept(picture.label, picture.label.split()[-1], (), (), position))
    return concepts


def varied_pictures(pictures: Sequence[Picture]) -> list[Concept]:
    """Return the shapes at other sizes and places and the pairs, each as a concept of the family `varied`."""
    return [
        Concept(picture.label, "varied", (), (), position)
        for position, picture in enumerate(pictures)
        if picture.source == "varied"
    ]


def _split(entry: str) -> tuple[str, str]:
    name, _, label = entry.strip().partition(":")
    return name, label or name


def _picture(label: str, index: dict[tuple[str, str], int]) -> int:
    """Return the index of an emoji's picture in the one style that is drawn."""
    if (STYLE, label) not in index:
        raise KeyError(f"no picture labelled {label!r} in the packages")
    return index[STYLE, label]


def _own_tags(
    wanted: Sequence[tuple[str, str, str]], pictures: Sequence[Picture], index: dict[tuple[str, str], int]
) -> dict[str, tuple[str, ...]]:
    """Return the tags that only one of the wanted concepts carries, by concept name."""
    tags = {}
    for _, name, label in wanted:
        tags[name] = pictures[_picture(label, index)].tags
    counts = Counter(tag for each in tags.values() for tag in set(each))
    names = set(tags)
    return {name: tuple(tag for tag in each if counts[tag] == 1 and tag not in names) for name, each in tags.items()}


def _synonyms(name: str, family: str) -> tuple[str, ...]:
    if family == "digit":
        digit = int(name.split()[-1])
        return (f"keycap {digit}", f"digit {digit}", f"number {DIGITS[digit]}")
    return SYNONYMS.get(name, ())


def caption(concept: Concept, background: str, choice: random.Random) -> str:
    """Return one caption for a picture of `concept`; one in ten is empty, for classifier-free guidance."""
    if choice.random() < 0.1:
        return ""
    text = _subject(concept, choice)
    if background != "white" or choice.random() < 0.15:
        text += f", {background} background"
    return text.lower()


def _subject(concept: Concept, choice: random.Random) -> str:
    name = concept.name
    article = "an" if name[0].lower() in "aeiou" else "a"
    kind = choice.random()
    if kind < 0.12 and concept.synonyms:
        return choice.choice(concept.synonyms)
    if kind < 0.18 and concept.tags:
        return f"{name}, {choice.choice(concept.tags)}"
    if kind < 0.40:
        return f"{article} {name}"
    if kind < 0.50:
        return f"{name} emoji" if choice.random() < 0.5 else f"{article} {name} emoji"
    return name
