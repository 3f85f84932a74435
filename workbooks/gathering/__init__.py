"""What the sample workbooks show: pictures that are really classified, and how good the models are."""
