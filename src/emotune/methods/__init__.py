"""Parameter-efficient fine-tuning methods, one small class each.

`MODULES` lists them. A new method is a module of this package and a line in the list: the command, configurations,
saved folders and `emotune.NAME` find it through the list, which imports nothing.
"""

# The class of each method, and its module in this package; the order is that of help and of tables.
MODULES = {
    "LoRA": "lora",
    "QLoRA": "qlora",
    "DoRA": "lora_variants",
    "PiSSA": "lora_variants",
    "LoRAPlus": "lora_variants",
    "AdaLoRA": "adalora",
    "VeRA": "vera",
    "IA3": "ia3",
    "BitFit": "bitfit",
    "Bottleneck": "bottleneck",
    "PrefixTuning": "prompts",
    "PromptTuning": "prompts",
    "HeadOnly": "head",
    "FullFineTuning": "full",
}
