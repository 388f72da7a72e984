"""The command line that the benches share: the program, the model, and the text at the top of the script as help."""
import argparse

FURTHER = "Further options go to prenormd serve."


class Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the lines of the text, and tells defaults where there are any."""

    def _get_help_string(self, action):
        return super()._get_help_string(action) if action.default else action.help


def parser(text, model=True, further=False):
    """further: what is unknown goes to the daemon, by parse_known_args."""
    made = argparse.ArgumentParser(description=text, formatter_class=Help, epilog=FURTHER if further else None)
    made.add_argument("program", help="prenormd")
    if model:
        made.add_argument("model", help="a folder, or a converted file")
    return made
