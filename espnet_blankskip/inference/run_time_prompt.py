"""What a loaded model is asked for, chosen when it decodes."""

from typing import Optional

from espnet_blankskip.decoding.prompt import PromptTokens, prompt_tokens, takes_prompt

TRAINED_SECONDS = 30.0  # ESPnet's default of preprocessor_conf's speech_length


class RunTimePrompt:
    """Mix-in for a recognizer: language and task of OWSM-CTC in `self.asr_model`."""

    @property
    def takes_prompt(self) -> bool:
        """Return whether the model is one of OWSM-CTC's kind."""
        return takes_prompt(self.asr_model)

    @property
    def trained_seconds(self) -> Optional[float]:
        """Return the length that every utterance was padded to in training, if any."""
        if not self.takes_prompt:
            return None
        return float(self._prompt_conf.get("speech_length", TRAINED_SECONDS))

    def set_prompt(
        self, lang_sym: Optional[str] = None, task_sym: Optional[str] = None
    ) -> None:
        """Choose language and task.

        Args:
            lang_sym: Language of the speech such as "<eng>"; None lets the model find
                it out.
            task_sym: "<asr>" or a translation such as "<st_deu>"; None: "<asr>".

        Raises:
            ValueError: The model has no such symbol, or takes no prompt.
        """
        self.prompt_for(lang_sym, task_sym)
        self.lang_sym, self.task_sym = lang_sym, task_sym

    def prompt_for(
        self, lang_sym: Optional[str] = None, task_sym: Optional[str] = None
    ) -> Optional[PromptTokens]:
        """Return the prompt of one call; None takes what `set_prompt` chose.

        Raises:
            ValueError: As `set_prompt`.
        """
        given = {"lang_sym": lang_sym, "task_sym": task_sym}
        if not self.takes_prompt:
            named = [f"{name}={value}" for name, value in given.items() if value]
            if named:
                raise ValueError(
                    f"{', '.join(named)}: this checkpoint takes no prompt; only those "
                    "of OWSM-CTC's kind do (model=espnet_ctc)"
                )
            return None
        chosen = {
            name: getattr(self, name, None) if value is None else value
            for name, value in given.items()
        }
        unknown = self._prompt_conf.get("nolang_symbol", "<nolang>")
        return prompt_tokens(self.asr_model, **chosen, unknown=unknown)

    @property
    def _prompt_conf(self) -> dict:
        return getattr(self.asr_train_args, "preprocessor_conf", None) or {}
