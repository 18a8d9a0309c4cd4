# The public face. `__init__.py` reads this file: what is imported here is loaded when it is first used.
from IPython.core.interactiveshell import InteractiveShell

from hanami_jupyter import data as data
from hanami_jupyter import plots as plots
from hanami_jupyter._version import __version__ as __version__
from hanami_jupyter.client import checkpoint as checkpoint
from hanami_jupyter.client import cluster as cluster
from hanami_jupyter.client import dataset as dataset
from hanami_jupyter.client import direct_io as direct_io
from hanami_jupyter.client import hanami_exceptions as hanami_exceptions
from hanami_jupyter.client import hanami_token as hanami_token
from hanami_jupyter.client import hosts as hosts
from hanami_jupyter.client import logs as logs
from hanami_jupyter.client import measurements as measurements
from hanami_jupyter.client import project as project
from hanami_jupyter.client import request_result as request_result
from hanami_jupyter.client import task as task
from hanami_jupyter.client import user as user
from hanami_jupyter.client.versions import show_versions as show_versions
from hanami_jupyter.launcher import local as local
from hanami_jupyter.panels.accuracy import Accuracy as Accuracy
from hanami_jupyter.panels.dashboard import Dashboard as Dashboard
from hanami_jupyter.panels.datasets import Datasets as Datasets
from hanami_jupyter.panels.login import Login as Login
from hanami_jupyter.panels.login import login as login
from hanami_jupyter.panels.sweep import SweepProgress as SweepProgress
from hanami_jupyter.panels.task_progress import TaskProgress as TaskProgress
from hanami_jupyter.panels.template_editor import TemplateEditor as TemplateEditor
from hanami_jupyter.plots import plot_accuracy as plot_accuracy
from hanami_jupyter.plots import plot_confusion_matrix as plot_confusion_matrix
from hanami_jupyter.plots import plot_history as plot_history
from hanami_jupyter.plots import plot_misclassified as plot_misclassified
from hanami_jupyter.plots import plot_sweep as plot_sweep
from hanami_jupyter.plots import show_template as show_template
from hanami_jupyter.protocol.grids import template_grid as template_grid
from hanami_jupyter.session import Session as Session
from hanami_jupyter.session import connect as connect

__all__: list[str]

def load_ipython_extension(shell: InteractiveShell) -> None: ...
def unload_ipython_extension(shell: InteractiveShell) -> None: ...
