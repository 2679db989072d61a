"""One file a command: read the input, call one method, answer with a sentence and a code."""
