"""stub"""


def feature_dictionary(): ...
