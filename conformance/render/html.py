from conformance.report import Report


def page(report: Report) -> str:
    return ""


def fragment(report: Report) -> str:
    return ""
