"""Mistakes as edits of a textbook line: which small change of a text makes exactly these numbers?"""
