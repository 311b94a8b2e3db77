"""The learning rate range test: the loss at rates that grow from step to step, a rate to train with, and a page."""
