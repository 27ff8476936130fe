"""The house's one direction: which room may import which, as data, and a walk over the imports."""

import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1] / "archprof"

# From the ground up: a room imports only from rooms before it. A dotted room is part of a package that has parts on
# several floors; the rest of that package stands where its plain name does.
ROOMS = """
    errors stats environment families processes
    units spec input_spec json_lines timing pace records layer_types regression
    separable.formula separable.styles separable.records
    tables.table layer_times audit.conventions audit.opinions tables.audit tables.layers tables
    differences zoo published sources
    costs counting measure
    separable footprint layer_timing audit comparison catalogue sweep
    budgets render
    cli pytest_plugin __main__ __init__
""".split()

# What a record lends itself from above, inside a function: the only imports that run upward.
LENT = {("records", "tables"), ("records", "render")}

# `from .. import __version__`, `archprof.compare`: the face of the whole house, resolved when it is used.
FACE = "__init__"

# Rooms that may be used without torch: what starts from a saved file, and what says --help.
WITHOUT_TORCH = """
    errors stats environment families processes units spec input_spec json_lines timing pace records layer_types
    regression separable.formula separable.styles separable.records tables.table layer_times audit.conventions
    audit.opinions tables.audit tables.layers tables differences published costs budgets render catalogue
""".split()

HEAVY = {"torch", "torchvision", "timm", "torchinfo", "fvcore"}


def room_of(module):
    """The room of a dotted module path below archprof."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in ROOMS:
            return name
    return None


def modules():
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        package = parts[:-1]
        name = parts[:-1] if parts[-1] == "__init__" and package else parts
        yield ".".join(name), package, ast.parse(file.read_text())


def imports(package, tree):
    """(module below archprof or a foreign package, whether at the top of the file) of each import that is executed."""
    typing_only = {id(part) for node in ast.walk(tree) if isinstance(node, ast.If)
                   and getattr(node.test, "id", "") == "TYPE_CHECKING" for part in ast.walk(node)}
    deferred = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        at_top = id(node) not in deferred
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_top, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, at_top, False
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                yield (inner if room_of(inner) else ".".join(base)) or FACE, at_top, True


def test_every_module_stands_in_a_room():
    assert [module for module, *_ in modules() if room_of(module) is None] == []


def test_every_room_is_there():
    found = {room_of(module) for module, *_ in modules()}
    assert found == set(ROOMS)


def test_imports_run_one_way():
    wrong = []
    for module, package, tree in modules():
        here = room_of(module)
        for target, _, ours in imports(package, tree):
            there = room_of(target) if ours else None
            if there in (None, here, FACE) or (here, there) in LENT or here == FACE:
                continue
            if ROOMS.index(there) > ROOMS.index(here):
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_rooms_without_torch_import_none():
    wrong = []
    for module, package, tree in modules():
        here = room_of(module)
        if here not in WITHOUT_TORCH:
            continue
        for target, at_top, ours in imports(package, tree):
            heavy = target.partition(".")[0] in HEAVY if not ours else (
                room_of(target) not in [*WITHOUT_TORCH, here, FACE, "zoo"] and at_top)
            if heavy and (at_top or here == "render"):
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_only_the_audit_knows_other_counters():
    for module, package, tree in modules():
        if room_of(module) != "audit":
            known = {target.partition(".")[0] for target, _, ours in imports(package, tree) if not ours}
            assert not known & {"torchinfo", "fvcore"}, module


def test_files_stay_readable():
    long = {str(file.relative_to(ROOT)): count for file in ROOT.rglob("*.py")
            if (count := len(file.read_text().splitlines())) > 450}
    assert long == {}


def test_the_public_names_are_there_without_torch():
    import subprocess

    done = subprocess.run([sys.executable, "-c", "import sys, archprof; archprof.Comparison, archprof.separable, "
                           "archprof.costs, archprof.ArchprofError; print('torch' in sys.modules)"],
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
