"""The commands, one file of this package each, with what --help says of them, in its order."""

COMMANDS = {
    "list": "The zoo, torchvision or timm: what each network costs, and its published accuracy.",
    "choose": "The most accurate network under limits, and why.",
    "show": "The layer table of one network: where its cost lies.",
    "compare": "Parameters, mult-adds, memory and latency of several models.",
    "separable": "Standard against depthwise separable convolution, of a layer or a network.",
    "whatif": "What edits of a network would cost: counts, and its time predicted from its operators'.",
    "audit": "Our counts beside torchinfo's, fvcore's and FlopCounterMode's, every difference explained.",
    "plot": "Draw a figure: PNG, SVG, PDF, or a page to look around in (HTML).",
    "report": "Write a folder with a readable report, its figures, a page to look around in, and its data.",
    "sweep": "Many networks into one file, resumable.",
    "predict": "Images a second on hardware that you do not have, with an interval.",
    "merge": "Results of several machines side by side: times, ratios and ranks.",
    "trial": "Accuracy measured: networks trained, or weights evaluated, under one recipe.",
    "check": "Judge the budgets of archprof.toml (or pyproject.toml).",
    "fit": "Members of a family that fit a budget, best first.",
    "diff": "What grew or shrank, and what became slower or faster, between two saved comparisons.",
    "env": "What is measured on, what disturbs it, and what it can do at best.",
    "completion": "Tab in bash, zsh or fish: the lines that complete commands, options and networks.",
    "schema": "The JSON Schema of what the other commands write.",
}
