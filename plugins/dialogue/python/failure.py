"""What goes wrong, told so that the host can count it and a person can mend it."""

import functools

from componentize_py_types import Err
from wit_world.imports import types


def failure(code: types.ErrorCode, message: str) -> Err:
    """What to raise; the sample fails with the message."""
    return Err(types.Error(code, message, None))


def invalid_config(message: str) -> Err:
    return failure(types.ErrorCode.INVALID_CONFIG, message)


def invalid_sample(message: str) -> Err:
    return failure(types.ErrorCode.INVALID_SAMPLE, message)


def told(call):
    """An exception becomes an error that says what and where; without this the sample would trap without a word."""

    @functools.wraps(call)
    def calling(*arguments):
        try:
            return call(*arguments)
        except Err:
            raise
        except Exception as error:
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            code = place.tb_frame.f_code
            where = f"{code.co_filename}:{place.tb_lineno} in {code.co_name}"
            raise failure(types.ErrorCode.OTHER, f"{type(error).__name__}: {error} ({where})") from None

    return calling
