STYLE_SOURCE = "'none'"
def fields_page() -> str:
    return ""
