"""Results of request tasks are datasets: the reference's second name for their functions."""

from hanami_jupyter.client.dataset import (
    check_mnist_dataset,
    delete_dataset,
    download_dataset,
    download_dataset_content,
    get_dataset,
    list_datasets,
)

__all__ = [
    "check_mnist_dataset",
    "delete_dataset",
    "download_dataset",
    "download_dataset_content",
    "get_dataset",
    "list_datasets",
]
