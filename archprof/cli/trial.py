"""archprof trial: accuracy measured, under one recipe."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from ..base.options import options_of, whole
from ..results.conditions import Conditions
from ..results.recipe import OF_EVALUATION, Recipe, fields_by_name, number, words
from ..results.trials import FILE, SEEDS
from . import options, saved

if TYPE_CHECKING:
    from ..results.trials import Trial

#: Of a measurement's conditions, those that a training has too; its dtype is the recipe's.
SHARED = ("device", "threads", "compile")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "trial",
        run,
        "archprof trial resnet_tiny --data digits --grid 'optimizer=adam,sgd' --epochs 2,5 -o trials/digits",
    )
    parser.description += (
        "\nDATA is digits (scikit-learn's), a folder of images (DATA/train/CLASS/*.png and DATA/test/CLASS/*.png, or\n"
        "DATA/CLASS/*.png), CIFAR-10's binary version (folder or .tar.gz), or an .npz. Nothing is unpickled."
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="such as resnet_tiny, 'resnet18(width=0.5)', NAME@64"
    )
    parser.add_argument("--data", metavar="DATA", help="what to train and evaluate on")
    parser.add_argument(
        "--hold-out",
        type=options.typed(number),
        metavar="SHARE",
        help="of each class, where the data have no test part (default: 0.2)",
    )
    parser.add_argument(
        "--input-shape",
        type=options.typed(options.input_shape),
        metavar="C,H,W",
        help="for every network: 1 channel is grey, 3 are colours (default: each its own)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="record, figures, page and weights; goes on where it is"
    )
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="the record (without FILE: to stdout)")
    parser.add_argument("--per-class", action="store_true", help="show the right answers of each class")
    parser.add_argument("--force", action="store_true", help="write into a folder that holds other things too")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--recipe", metavar="NAME", help="one that ships, or a .toml (default: the network's own, where one ships)"
    )
    training.add_argument("--recipes", action="store_true", help="print the recipes that ship, and end")
    training.add_argument(
        "--epochs",
        type=options.typed(epochs),
        metavar="N,N,...",
        help="accuracy is read after each (default: the recipe's)",
    )
    training.add_argument("--seeds", type=options.typed(whole), metavar="N", help="trainings of each (default: 3)")
    training.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=V,V,...",
        help="vary a key of the recipe or an option of the network; may be repeated",
    )
    options.add_fields(parser.add_argument_group("the recipe, changed"), Recipe, left_out=("epochs",))
    alone = parser.add_argument_group("evaluation alone")
    alone.add_argument("--weights", metavar="FILE", help="evaluate these: .safetensors, or a state dict of torch.save")
    alone.add_argument(
        "--crops", type=options.typed(whole), metavar="N", help="views of an image: 1, 5 or 10 (default: 1)"
    )
    others = tuple(named.name for named in options_of(Conditions) if named.name not in SHARED)
    options.add_fields(parser.add_argument_group("device"), Conditions, left_out=others)


def epochs(text: str) -> tuple[int, ...]:
    """'10,20,50' -> (10, 20, 50), ascending."""
    return tuple(sorted({whole(part.strip()) for part in text.split(",")}))


def run(args: argparse.Namespace) -> int:
    """Train or evaluate, print, write; 1 where a network failed beside others, 130 after Ctrl-C."""
    from ..base import files
    from ..models import spec
    from ..trials import shipped

    if args.recipes:
        print("\n".join(f"# {name}\n{shipped.text(name)}" for name in shipped.names()), end="")
        return 0
    if not args.models:
        raise BadOption("no model is given;", "name at least one, such as resnet_tiny.")
    if not args.data:
        raise BadOption("no data are given;", "add --data digits, or a folder of images.")
    for model in args.models:
        spec.parse(model)
    files.check([args.json])
    if args.output:
        from ..render import trial_page

        trial_page.check_folder(args.output, args.force)
    elif args.force:
        raise BadOption("--force has no effect without -o.", "Leave it out.")
    if not args.output:
        found, code = _evaluated(args) if args.weights else _trained(args)
        _show(found, args)
        return code
    from ..trials.running import made

    with files.alone(str(made(Path(args.output)) / FILE)):
        found, code = _evaluated(args) if args.weights else _trained(args)
        _show(found, args)
        return code


def _trained(args: argparse.Namespace) -> tuple[Trial, int]:
    from ..trials import grids, shipped

    if args.crops:
        raise BadOption("--crops is for evaluation alone.", "Add --weights FILE, or leave it out.")
    axes = [grids.axis(text) for text in args.grid]
    recipe, name = shipped.asked(args.recipe, args.models[0], _changed(args), args.epochs)
    print(f"archprof: recipe {name}: {words(recipe)}", file=sys.stderr)
    # what is wrong with it is said before torch is imported
    grids.planned([(model, model) for model in args.models], recipe, axes, args.epochs or (recipe.epochs,))

    from ..trials import trial
    from .trial_progress import progress

    with progress() as tell:
        try:
            found = trial.trial(
                args.models,
                args.data,
                recipe=recipe,
                recipe_name=name,
                grid=axes,
                epochs=args.epochs,
                seeds=args.seeds or SEEDS,
                hold_out=args.hold_out,
                input_shape=args.input_shape,
                folder=args.output,
                progress=tell,
                **_conditions(args),
            )
            return found, int(any(entry.error for entry in found.entries))
        except trial.TrialInterrupted as stopped:
            return stopped.trial, saved.INTERRUPTED


def _evaluated(args: argparse.Namespace) -> tuple[Trial, int]:
    from ..trials import shipped

    if len(args.models) > 1:
        raise BadOption(f"--weights are of one network; {len(args.models)} are named.", "Name the one they belong to.")
    options.refuse_without_effect(args, "with --weights: nothing is trained", also=("grid", "epochs", "seeds"))
    fields, changed = fields_by_name(), _changed(args)
    for name in changed:
        if name not in OF_EVALUATION:
            raise BadOption(f"{fields[name].flag} has no effect with --weights: nothing is trained.", "Leave it out.")
    recipe, _ = shipped.asked(args.recipe, args.models[0], changed, None)
    from ..trials import trial

    found = trial.evaluate(
        args.models[0],
        args.data,
        args.weights,
        recipe=recipe,
        crops=args.crops or 1,
        hold_out=args.hold_out,
        input_shape=args.input_shape,
        **_conditions(args),
    )
    return found, 0


def _changed(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line changes of the recipe; --epochs is read by itself."""
    return {name: value for name, value in options.given(args, Recipe).items() if name != "epochs"}


def _conditions(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in SHARED if hasattr(args, name)}


def _show(found: Trial, args: argparse.Namespace) -> None:
    """Tables to stdout, files where asked for, what is to be known to stderr."""
    from ..base import files
    from ..render import terminal
    from ..render.tables.trials import tables

    if args.json != files.STDOUT:
        terminal.show(tables(found, args.per_class), export="-o FOLDER")
    if args.output:
        from ..render import trial_page

        trial_page.write(found, args.output, per_class=args.per_class)
        print(f"archprof: written to {args.output}", file=sys.stderr)
    if args.json:
        files.write(args.json, found.to_json())
    for entry in found.entries:
        if entry.error:
            print(f"archprof: {entry.error}", file=sys.stderr)
    if found.interrupted:
        kept = f"the same command goes on from {args.output}" if args.output else "nothing is kept without -o FOLDER"
        print(f"archprof: interrupted; {kept}", file=sys.stderr)
