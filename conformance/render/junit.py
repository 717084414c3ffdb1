from conformance.report import Report


def junit(report: Report) -> bytes:
    return b""
