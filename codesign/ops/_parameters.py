"""Parameters of layers, as modules hold them and functions are given them."""

from codesign.errors import InputError
from codesign.ops.op import Parameter, TorchCall


def weight_and_bias(call: TorchCall, *names: str) -> tuple[str, str | None]:
    """Names of a layer's parameters in the graph.

    Args:
        call: Of a module, or of a function that is given a weight and perhaps a bias.
        names: The function's options in torch's order, ``weight`` and ``bias`` among them.

    Raises:
        InputError: The function is given something else than parameters.
    """
    if call.module is not None:
        return f"{call.path}.weight", None if call.module.bias is None else f"{call.path}.bias"
    given = call.options(*names)
    weight, bias = given.get("weight"), given.get("bias")
    if len(call.shapes) != 1 or not isinstance(weight, Parameter) or not isinstance(bias, Parameter | None):
        found = f"{call.target} with a weight or a bias that the inputs reach"
        raise InputError(f"layer {call.path!r}", found, "parameters of the network")
    return weight.name, None if bias is None else bias.name
