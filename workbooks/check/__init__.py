"""`run.py workbooks check`: somebody's workbook goes in, findings with a code, a sentence and a remedy come out.

package  -> document -> reading  -> workbook        file, bytes, XML, values
tokens   -> calls    -> script                      a formula, its SCRIPT_ calls, the Python inside
view     -> extract  -> counting                    a sheet's marks and partitions, counted in the Hyper extract
tabpy    -> endpoints -> replay                     what is deployed, and what it answers
schema, load_rules, field_rules -> findings -> report
"""
