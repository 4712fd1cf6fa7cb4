"""Asks the project's own command why a flavor's guests are refused."""

from lab import cloud as clouds
from lab import errors
from lab import layout as layouts


def explain(cloud: clouds.Cloud, flavor: str) -> str:
    """What ``nova-isolation-manage explain FLAVOR`` prints for a cloud.

    :raises LabError: when it failed without printing anything
    """
    result = cloud.supervisor.output([
        layouts.BIN / 'nova-isolation-manage',
        '--config-file', cloud.layout.nova_conf, 'explain', flavor])
    if not result.stdout.strip():
        raise errors.LabError(
            f'nova-isolation-manage explain {flavor}: {result.stderr}')
    return result.stdout
