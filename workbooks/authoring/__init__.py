"""A small writer of Tableau workbooks: tables, fields, sheets and dashboards become a `.twb`, packaged as a `.twbx`."""
