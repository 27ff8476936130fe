"""Archives that would run something if they could: a payload makes a file, and each kind hides it elsewhere.

Every entry of KINDS changes the members of a genuine archive (a dict from name, without the archive's own, to bytes).
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL, INPUTS = "models/model.json", "data/sample_inputs/model.pt"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"


class Bomb:
    """Unpickling one makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return open, (self.marker, "w")


@dataclass
class Payload:
    """`python`: an expression that makes the file; `module`: one whose import does; `pickled`: a pickle that does."""

    marker: Path
    module: str

    @property
    def python(self) -> str:
        return f"open({str(self.marker)!r}, 'w')"

    @property
    def pickled(self) -> bytes:
        return pickle.dumps(Bomb(self.marker))

    @property
    def saved(self) -> bytes:
        import torch

        held = io.BytesIO()
        torch.save(Bomb(self.marker), held)
        return held.getvalue()


@dataclass
class Kind:
    """`says`: a piece of the message; '' where the archive is read as if the payload were not there."""

    name: str
    change: Callable[[dict[str, bytes], Payload], Any]
    says: str = ""
    write: Callable[[Path, dict[str, bytes], Payload], None] | None = None


KINDS: list[Kind] = []


def kind(says: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(change: Callable[..., Any]) -> Callable[..., Any]:
        KINDS.append(Kind(change.__name__, change, says))
        return change

    return add


def raw(says: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A kind that writes the file itself."""

    def add(write: Callable[..., None]) -> Callable[..., None]:
        KINDS.append(Kind(write.__name__, lambda *_: None, says, write))
        return write

    return add


def write(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{path.stem}/{name}", content)


def graph(members: dict[str, bytes], change: Callable[[dict[str, Any]], Any], name: str = MODEL) -> None:
    found = json.loads(members[MODEL])
    change(found)
    members[name] = json.dumps(found).encode()


def nodes(found: dict[str, Any]) -> list[dict[str, Any]]:
    return found["graph_module"]["graph"]["nodes"]  # type: ignore[no-any-return]


def everywhere(value: Any, key: str, new: Any) -> None:
    """Put `new` under every `key`."""
    if isinstance(value, dict):
        for name in value:
            if name == key:
                value[name] = new
            else:
                everywhere(value[name], key, new)
    elif isinstance(value, list):
        for item in value:
            everywhere(item, key, new)


def settings(members: dict[str, bytes], name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    found = json.loads(members[name])
    change(next(iter(found["config"].values())))
    members[name] = json.dumps(found).encode()


# --- pickles --------------------------------------------------------------------------------------------------------


@kind("is stored as a pickle, which is not opened here")
def pickled_constant(members, payload):
    settings(members, CONSTANTS, lambda entry: entry.update(use_pickle=True))
    members["data/constants/tensor_0"] = payload.saved


@kind("twice (torch does not tell case apart)")
def pickled_constant_under_another_case(members, payload):
    settings(members, CONSTANTS, lambda entry: entry.update(use_pickle=True))
    members["DATA/constants/TENSOR_0"] = payload.saved


@kind("holds 'm/DATA/CONSTANTS/TENSOR_0', which torch.export.save does not write")
def only_another_case(members, payload):
    del members["data/constants/tensor_0"]
    members["DATA/CONSTANTS/TENSOR_0"] = payload.saved


@kind("is stored as a pickle, which is not opened here")
def pickled_weight(members, payload):
    settings(members, WEIGHTS, lambda entry: entry.update(use_pickle=True))
    members["data/weights/weight_0"] = payload.saved


@kind("holds pickled tensors")
def all_weights_in_one_pickle(members, payload):
    members["data/weights/model.pt"] = payload.saved


@kind("holds pickled tensors")
def all_constants_in_one_pickle_in_capitals(members, payload):
    members["DATA/Constants/MODEL.PT"] = payload.saved


@kind("holds a pickled object")
def custom_object(members, payload):
    members["data/constants/custom_obj_0"] = payload.pickled


@kind("holds a pickled object")
def opaque_object(members, payload):
    settings(members, CONSTANTS, lambda entry: entry.update(path_name="opaque_obj_0"))
    members["data/constants/Opaque_Obj_0"] = payload.pickled


@kind()
def example_inputs(members, payload):
    members[INPUTS] = payload.saved


# --- a graph beside the graph ---------------------------------------------------------------------------------------


def harmful(payload):
    return lambda found: everywhere(found["graph_module"]["graph"]["tensor_values"], "expr_str", payload.python)


@kind("twice (torch does not tell case apart)")
def graph_with_a_suffix_in_capitals(members, payload):
    graph(members, harmful(payload), "models/model.JSON")


@kind("twice (torch does not tell case apart)")
def graph_in_a_folder_in_capitals(members, payload):
    graph(members, harmful(payload), "MODELS/model.json")


@kind("which torch.export.save does not write")
def second_graph(members, payload):
    graph(members, harmful(payload), "models/other.json")


@kind("which torch.export.save does not write")
def graph_without_a_suffix(members, payload):
    graph(members, harmful(payload), "models/model")


# --- formulas, names, guards ----------------------------------------------------------------------------------------


@kind()
def formula_of_an_inner_size(members, payload):
    def change(found):
        values = found["graph_module"]["graph"]["tensor_values"]
        everywhere({name: value for name, value in values.items() if name != "x"}, "expr_str", payload.python)

    graph(members, change)


@kind("an input of the size 'open(")
def formula_of_an_input(members, payload):
    def change(found):
        meta = found["graph_module"]["graph"]["tensor_values"]["x"]
        meta["sizes"][0] = {"as_expr": {"expr_str": payload.python, "hint": None}}

    graph(members, change)


@kind("an input of the size '().__class__.__base__")
def formula_with_attributes(members, payload):
    def change(found):
        meta = found["graph_module"]["graph"]["tensor_values"]["x"]
        meta["sizes"][0] = {"as_expr": {"expr_str": "().__class__.__base__.__subclasses__()", "hint": None}}

    graph(members, change)


@kind()
def formulas_of_ranges(members, payload):
    graph(members, lambda found: found.update(range_constraints={payload.python: {"min_val": 0, "max_val": 9}}))


@kind()
def guards(members, payload):
    graph(members, lambda found: found.update(guards_code=[payload.python]))


def renamed(members, old, new):
    members[MODEL] = members[MODEL].replace(json.dumps(old).encode(), json.dumps(new).encode())


@kind()
def name_of_a_value_that_is_code(members, payload):
    # torch writes a graph as Python source, names as they are
    renamed(members, "relu", f"relu; {payload.python}; y")


@kind()
def name_of_an_input_that_is_code(members, payload):
    renamed(members, "x", f"x={payload.python}")


@kind()
def name_of_an_argument_that_is_code(members, payload):
    graph(
        members,
        lambda found: everywhere(found["graph_module"]["module_call_graph"], "forward_arg_names", [payload.python]),
    )


# --- structure of arguments -----------------------------------------------------------------------------------------


def structure(context, kind="builtins.dict"):
    leaf = {"type": None, "context": None, "children_spec": []}
    inner = {"type": kind, "context": json.dumps(context), "children_spec": [leaf]}
    empty = {"type": "builtins.dict", "context": "[]", "children_spec": []}
    args = {"type": "builtins.tuple", "context": "null", "children_spec": [inner]}
    return json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": [args, empty]}])


@kind()
def enumeration_as_a_key(members, payload):
    spec = structure([{"__enum__": True, "fqn": f"{payload.module}:X", "name": "Y"}])
    graph(members, lambda found: everywhere(found["graph_module"]["module_call_graph"], "in_spec", spec))


@kind()
def enumeration_in_the_outputs(members, payload):
    spec = structure({"__enum__": True, "fqn": f"{payload.module}:X", "name": "Y"}, "builtins.tuple")
    graph(members, lambda found: everywhere(found["graph_module"]["module_call_graph"], "out_spec", spec))


@kind()
def factory_of_a_defaultdict(members, payload):
    context = {"default_factory_module": payload.module, "default_factory_name": "X", "dict_context": ["a"]}
    spec = structure(context, "collections.defaultdict")
    graph(members, lambda found: everywhere(found["graph_module"]["module_call_graph"], "in_spec", spec))


# --- operators ------------------------------------------------------------------------------------------------------


def calling(name, target, *arguments):
    def change(members, payload):
        def put(found):
            node = copy.deepcopy(nodes(found)[0])
            given = [{"name": "", "arg": {"as_string": text}, "kind": 1} for text in arguments]
            node.update(target=target, inputs=given, outputs=[{"as_none": True}], name="more")
            nodes(found).insert(0, node)

        graph(members, put)

    KINDS.append(Kind(name, change, f"the graph calls '{target}', which is not one of torch's operators"))


calling("operator_anywhere_in_torch", "torch.serialization.os.system", "true")
calling("operator_that_calls", "_operator.call", "true")
calling("operator_that_gets_attributes", "_operator.attrgetter", "__class__")
calling("operator_of_builtins", "torch._operator.__builtins__", "true")
calling("math_loader", "math.__loader__.load_module", "os")
calling("operator_that_makes_files", "torch.ops.aten.from_file.default", "made")
calling("operator_that_saves", "torch.ops.aten.save.default", "made")
calling("operator_that_prints", "torch.ops.aten._print.default", "\x1b[2J")
calling("operator_that_writes_images", "torch.ops.image.write_file.default", "made")
calling("operator_namespace_attribute", "torch.ops.aten.__class__.mro", "x")
calling("operator_loader", "torch.ops.load_library", "made.so")
calling("operator_of_an_extension", "#extension:run", "x")
calling("operator_that_is_a_bare_name", "exec", "x")
calling("operator_of_higher_order", "torch.ops.higher_order.triton_kernel_wrapper_functional", "x")


@kind("has an argument 'as_operator', which is not read here")
def operator_as_an_argument(members, payload):
    def change(found):
        nodes(found)[0]["inputs"].append({"name": "", "arg": {"as_operator": "torch.os.system"}, "kind": 1})

    graph(members, change)


@kind("has an argument 'as_custom_obj', which is not read here")
def object_as_an_argument(members, payload):
    def change(found):
        given = {"as_custom_obj": {"name": "o", "class_fqn": payload.module}}
        nodes(found)[0]["inputs"].append({"name": "", "arg": given, "kind": 1})

    graph(members, change)


@kind()
def origin_of_a_call(members, payload):
    def change(found):
        nodes(found)[0]["metadata"]["source_fn_stack"] = "relu,torch.serialization.os.system"

    graph(members, change)


# --- more than a graph ----------------------------------------------------------------------------------------------


@kind("holds compiled code")
def compiled_code(members, payload):
    members["data/aotinductor/model/model.so"] = b"\x7fELF"


@kind("holds compiled code")
def compiled_code_in_capitals(members, payload):
    members["DATA/AOTInductor/model/model.so"] = b"\x7fELF"


@kind("which torch.export.save does not write")
def folder_above(members, payload):
    members["../outside"] = b""


@kind("holds no exported graph")
def no_graph(members, payload):
    del members[MODEL]


@kind("is not an archive of torch.export")
def graph_nested_too_deep(members, payload):
    members[MODEL] = b"[" * 200_000


@kind("is not laid out as torch.export.save does")
def graph_without_parts(members, payload):
    members[MODEL] = b'{"graph_module": {}}'


@kind("is not an archive of torch.export")
def graph_that_is_a_list(members, payload):
    members[MODEL] = b"[]"


@kind("is not laid out as torch.export.save does")
def weight_beyond_its_bytes(members, payload):
    settings(members, WEIGHTS, lambda entry: everywhere(entry, "sizes", [{"as_int": 10**9}]))


@kind("is not laid out as torch.export.save does")
def weight_of_a_huge_size(members, payload):
    settings(members, WEIGHTS, lambda entry: everywhere(entry, "sizes", [{"as_int": 10**30}]))


@kind("is not laid out as torch.export.save does")
def weight_that_would_hide_a_method(members, payload):
    for name in (MODEL, WEIGHTS):
        members[name] = members[name].replace(b'"0.0.weight"', b'"forward"')


# --- the file itself ------------------------------------------------------------------------------------------------


@raw("twice (torch does not tell case apart)")
def member_twice(path, members, payload):
    write(path, members)
    changed = dict(members)
    graph(changed, harmful(payload))
    import warnings

    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(f"{path.stem}/{MODEL}", changed[MODEL])


@raw("File name in directory")
def other_name_beside_the_data(path, members, payload):
    write(path, members)
    content, name = path.read_bytes(), f"{path.stem}/{MODEL}".encode()
    at = content.index(name)
    path.write_bytes(content[:at] + name.replace(b"model.json", b"other.json") + content[at + len(name) :])


@raw("compressed or encrypted; it must be stored as it is")
def bomb_of_zeros(path, members, payload):
    members["extra/zeros"] = bytes(100_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{path.stem}/{name}", content)


@raw("claims to hold more than its own")
def members_that_share_their_bytes(path, members, payload):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (*members.items(), *((f"extra/{number}", bytes(10**5)) for number in range(20))):
            archive.writestr(f"{path.stem}/{name}", content)
        for entry in archive.filelist[-20:-1]:  # each reaches over all the following
            entry.file_size = entry.compress_size = archive.filelist[-1].header_offset - entry.header_offset


@raw("holds a graph in an old layout")
def old_layout(path, members, payload):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.4")
        archive.writestr("serialized_exported_program.json", members[MODEL])
        archive.writestr("serialized_state_dict.pt", payload.saved)
        archive.writestr("serialized_constants.pt", payload.saved)
        archive.writestr("serialized_example_inputs.pt", payload.saved)


@raw("holds a pickle")
def weights_saved_by_torch_save(path, members, payload):
    path.write_bytes(payload.saved)


@raw("is a pickle, and opening one runs whatever code it holds")
def plain_pickle(path, members, payload):
    path.write_bytes(payload.pickled)


@raw("holds a program of TorchScript")
def torchscript(path, members, payload):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/code/__torch__.py", payload.python)
        archive.writestr("m/constants.pkl", payload.pickled)
        archive.writestr("m/data.pkl", payload.pickled)


@raw("is not an archive of torch.export")
def cut_short(path, members, payload):
    write(path, members)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 3])


@raw("is not an archive of torch.export: Bad CRC-32")
def damaged(path, members, payload):
    write(path, members)
    content = path.read_bytes()
    at = content.index(b'"graph_module"')
    path.write_bytes(content[:at] + b"#" + content[at + 1 :])


@raw("is not an archive of torch.export")
def empty(path, members, payload):
    path.write_bytes(b"")


@raw("is a folder")
def folder(path, members, payload):
    path.mkdir()


@raw("is a link to something that is not there")
def link_to_nothing(path, members, payload):
    path.symlink_to(path.with_name("nowhere.pt2"))


@raw("is a link to something that is not there")
def link_to_itself(path, members, payload):
    path.symlink_to(path)


@raw("is not a regular file")
def link_to_a_device(path, members, payload):
    path.symlink_to("/dev/zero")


@raw("is not a regular file")
def pipe(path, members, payload):
    import os

    os.mkfifo(path)
