"""The report page: what it shows, and its template, style and scripts in assets/.

It knows records, reports and metrics files as plain data. It must not know stages, where files lie, or how a model runs.
"""
