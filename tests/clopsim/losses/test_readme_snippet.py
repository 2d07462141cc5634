import re
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def test_the_training_loop_of_the_readme_runs():
    (snippet,) = re.findall(r"```python\n(import torch\n.*?)```", README.read_text(), flags=re.DOTALL)
    names = {}
    exec(snippet, names)
    assert names["value"].isfinite()
    assert names["model"].weight.grad.any()
