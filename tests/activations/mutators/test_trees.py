import ast

from arrange.activations.mutators.trees import closed, numbers, operands, places, terms
from arrange.activations.programs.check import check

PROGRAM = """
def activation(x):
    y = -x * 0.5
    for _ in range(3):
        y = y.clamp(min=-2, max=torch.tanh(x)) ** 2
    z = x.sum(dim=-1, keepdim=True) + math.pi
    return torch.where((y > 1) & (x < z), y, F.leaky_relu(x, 0.1))
"""


def texts(found):
    return [ast.unparse(place.value) for place in found]


def test_terms_are_everything_made_of_x_but_conditions_exponents_and_axes():
    assert texts(terms(check(PROGRAM))) == [
        *("-x * 0.5", "-x", "x"),
        *("y.clamp(min=-2, max=torch.tanh(x)) ** 2", "y.clamp(min=-2, max=torch.tanh(x))", "y", "torch.tanh(x)", "x"),
        *("x.sum(dim=-1, keepdim=True) + math.pi", "x.sum(dim=-1, keepdim=True)", "x"),
        "torch.where((y > 1) & (x < z), y, F.leaky_relu(x, 0.1))",
        *("y", "x", "z", "y", "F.leaky_relu(x, 0.1)", "x"),
    ]


def test_numbers_are_factors_bounds_and_thresholds_and_not_exponents_axes_and_rounds():
    assert texts(numbers(check(PROGRAM))) == ["0.5", "2", "1", "0.1"]


def test_another_value_can_be_put_at_every_place():
    count = len(list(places(check(PROGRAM))))
    for index in range(count):
        tree = check(PROGRAM)
        list(places(tree))[index].put(ast.Name("NEW"))
        assert ast.unparse(tree).count("NEW") == 1
        assert texts(places(tree))[index] == "NEW"


def test_operands_are_one_level_down():
    tree = check("def activation(x): return torch.sin(x * 2) + x")
    assert texts(operands(terms(tree)[0].value)) == ["torch.sin(x * 2)", "x"]
    assert texts(operands(terms(tree)[1].value)) == ["x * 2"]


def test_a_closed_value_names_x_and_no_other_variable():
    values = {ast.unparse(place.value): closed(place.value) for place in terms(check(PROGRAM))}
    assert values["F.leaky_relu(x, 0.1)"]
    assert values["-x * 0.5"]
    assert values["x.sum(dim=-1, keepdim=True) + math.pi"]
    assert not values["y"]
    assert not values["y.clamp(min=-2, max=torch.tanh(x))"]
