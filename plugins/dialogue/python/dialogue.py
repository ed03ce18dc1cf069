"""Several turns with a model, which sees all that was said before."""

from wit_world.imports import models
from wit_world.imports.models import Role

NAMES = {Role.SYSTEM: "System", Role.USER: "User", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool"}
# What Unicode calls white space. Python's own strip() takes four control characters more.
WHITE_SPACE = "".join(map(chr, [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]))
WHITE_SPACE += "\u2028\u2029\u202f\u205f\u3000"


def greedy(max_tokens: int, stop: list[str]) -> models.Sampling:
    """The most likely token, always; at most so many, and none after a text that ends the answer."""
    return models.Sampling(
        max_tokens=max_tokens, temperature=0.0, top_p=None, top_k=None, seed=None, stop=stop, extra=[]
    )


def complete(model: models.Model, prompt: str | list[models.Message], sampling: models.Sampling) -> str:
    """What the model writes after a text, or after the turns of a chat."""
    if isinstance(prompt, str):
        prompt = models.Prompt_Text(prompt)
    else:
        prompt = models.Prompt_Chat(models.Chat(prompt, continue_final=False))
    [generation] = model.generate([models.GenerationRequest(prompt, sampling)])
    return generation.text


class Dialogue:
    """By the model's chat template; or as plain text, a paragraph a turn, each begun with who speaks (`User: …`). An
    answer in plain text ends where the next paragraph would begin."""

    def __init__(self, model: models.Model, max_tokens: int, until: list[str], chat: bool):
        stop = until if chat else until + [f"\n{name}:" for name in NAMES.values()]
        self.model = model
        self.sampling = greedy(max_tokens, stop)
        self.chat = chat
        self.messages: list[models.Message] = []

    def system(self, instructions: str) -> None:
        """Instructions before everything else."""
        self.messages.insert(0, models.Message(Role.SYSTEM, instructions))

    def ask(self, text: str) -> str:
        """Says something, and gives what the model answers, without white space around it."""
        self.messages.append(models.Message(Role.USER, text))
        prompt = self.messages if self.chat else f"{self.transcript()}\nAssistant:"
        answer = complete(self.model, prompt, self.sampling).strip(WHITE_SPACE)
        self.messages.append(models.Message(Role.ASSISTANT, answer))
        return answer

    def transcript(self) -> str:
        """All that was said as text, to be shown to a judge."""
        return "\n".join(f"{NAMES[message.role]}: {message.content}" for message in self.messages)
