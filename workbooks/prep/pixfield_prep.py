# Tableau Prep, script step (Python): every Pixfield column of a column of image paths, in one call.
#
# In the step choose "Tableau Python (TabPy) Server", this file, and the function name  classify
# Adapt the three lines below. Prep runs this text inside TabPy and brings pd, tabpy and the prep_ types along.

PATH_COLUMN = "Image Path"
MODEL = None  # or "name", "name@version", "name@alias"; None is the server's default model
KEPT = {}  # columns of yours that are to stay, with their types: {"Product": "string", "Price": "decimal"}

ANSWERS = {
    "label": "string",
    "confidence": "decimal",
    "margin": "decimal",
    "entropy": "decimal",
    "status": "string",
    "note": "string",
    "model": "string",
    "map_x": "decimal",
    "map_y": "decimal",
    "cluster": "string",
    "nearest_label": "string",
    "outlier": "decimal",
    "thumbnail_url": "string",
    "explanation_url": "string",
}


def names():
    # A column of yours that is called as one of the answers keeps its name.
    return {name: name + " (Pixfield)" if name in KEPT or name == PATH_COLUMN else name for name in ANSWERS}


def classify(df):
    for column in [PATH_COLUMN, *KEPT]:
        if column not in df.columns:
            raise ValueError(f"There is no column {column!r}: name one of {', '.join(df.columns)} in the script.")
    paths = [None if pd.isna(path) else path for path in df[PATH_COLUMN].tolist()]
    table = tabpy.query("image_table", paths, MODEL)["response"]
    if "label" not in table:  # nothing was answered at all: a flow that stops is better than an extract of nulls
        raise RuntimeError("; ".join(sorted(set(table["status"]))))
    found = df[[PATH_COLUMN, *KEPT]].copy()
    for name, column in names().items():
        found[column] = pd.Series(table[name], index=found.index, dtype=object)
    return found


def get_output_schema():
    kinds = {
        "string": prep_string,
        "decimal": prep_decimal,
        "int": prep_int,
        "bool": prep_bool,
        "date": prep_date,
        "datetime": prep_datetime,
    }
    columns = {PATH_COLUMN: "string", **KEPT, **{column: ANSWERS[name] for name, column in names().items()}}
    return pd.DataFrame({column: kinds[kind]() for column, kind in columns.items()})
