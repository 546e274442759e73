"""Run by Airflow's own Python, not by ours: load a DAG file, tell what is in it as JSON, execute one of its tasks,
and what it raises where a command ends with each of some exit codes.

airflow_reads.py FOLDER DAY,DAY TASK CODE,CODE
"""

import json
import sys
from datetime import UTC, datetime

from airflow.dag_processing.dagbag import DagBag

folder, days, run = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
bag = DagBag(dag_folder=folder)
(dag,) = bag.dags.values()
said = {"errors": bag.import_errors, "dag": dag.dag_id, "catchup": dag.catchup, "at_once": dag.max_active_runs}
said["tasks"] = {}
for task in dag.tasks:
    commands = []
    for day in days:
        moment = datetime.fromisoformat(day).replace(hour=3, tzinfo=UTC)
        commands.append(task.render_template(task.bash_command, {"data_interval_end": moment}, dag.get_template_env()))
    said["tasks"][task.task_id] = {
        "after": sorted(task.upstream_task_ids),
        "retries": task.retries,
        "commands": commands,
    }
    if task.task_id == run:
        task.bash_command = commands[0]
        said["ran"] = task.execute({})
        said["raised"] = {}
        for code in sys.argv[4].split(","):
            task.bash_command = f"exit {code}"
            try:
                task.execute({})
            except Exception as error:
                said["raised"][code] = type(error).__name__
print(f"\n{json.dumps(said)}")
