"""Instances and charges as the real API shows them."""

import time
from typing import Any

from stack.marketplace.instances import Instance, Status
from stack.marketplace.market import Seen
from stack.marketplace.meter import Bill
from stack.marketplace.settings import NOTICE

COMPUTED = frozenset({"dph_total", "num_gpus", "uptime_mins", "duration", "gpu_util", "has_sla"})
"""Columns of a listing that cannot be filtered by."""


def instance_row(seen: Seen) -> dict[str, Any]:
    """An instance as a listing shows it."""
    instance, moment = seen.instance, seen.moment
    runs = moment.actual_status is Status.RUNNING
    now = time.time()
    running = instance.first(Status.RUNNING)
    gpu, disk = float(moment.gpu_dollars_per_hour), float(instance.disk_dollars_per_hour)
    prices = {
        "gpuCostPerHour": gpu,
        "diskHour": disk,
        "totalHour": gpu + disk,
        "discountTotalHour": 0,
        "discountedTotalPerHour": gpu + disk,
    }
    return {
        **instance.host,
        "id": instance.id,
        "machine_id": instance.machine_id,
        "label": moment.label,
        "actual_status": moment.actual_status,
        "intended_status": moment.intended_status,
        "cur_state": moment.cur_state,
        "next_state": moment.next_state,
        "status_msg": moment.status_msg,
        "image_uuid": instance.image,
        "image_args": instance.args,
        "image_runtype": instance.runtype,
        "extra_env": [[name, value] for name, value in instance.env.items()],
        "onstart": instance.onstart,
        "template_id": None,
        "template_hash_id": None,
        "template_name": None,
        "jupyter_token": None,
        "ssh_host": "ssh.rehearsal.invalid",
        "ssh_idx": "1",
        "ssh_port": 22,
        "machine_dir_ssh_port": -1,
        "local_ipaddrs": "127.0.0.1 \n",
        "public_ipaddr": "127.0.0.1\n",
        **({"ports": {}} if runs else {}),
        "direct_port_start": -1,
        "direct_port_end": -1,
        "start_date": instance.history[0].epoch,
        "end_date": instance.end_date,
        "duration": max(0.0, instance.end_date - now),
        "uptime_mins": None if not runs or running is None else (now - running.epoch) / 60,
        "dph_base": gpu,
        "dph_total": gpu + disk,
        "is_bid": instance.is_bid,
        "storage_total_cost": disk,
        "search": prices,
        "instance": prices,
        "disk_space": float(instance.disk_gigabytes),
        "disk_usage": -1,
        "disk_util": -1,
        "gpu_util": 0.0 if runs else None,
        "gpu_temp": 40.0 if runs else None,
        "cpu_util": 0.0,
        "mem_usage": None,
        "mem_limit": None,
        "vmem_usage": None,
        "credit_balance": None,
        "credit_discount": None,
        "volume_info": [],
        "rentable": False,
        "country_code": str(instance.host["geolocation"]).rpartition(", ")[2],
        "time_remaining": "",
    }


def charge_row(instance: Instance, bill: Bill) -> dict[str, Any]:
    """What an instance has cost, as the charges API shows it; amounts to a microdollar."""
    last = instance.now
    start = int(instance.history[0].epoch)
    end = int(time.time() if instance.exists else last.epoch)
    gpu_hours = bill.gpu_microseconds / 3.6e9
    disk_hours = bill.disk_microseconds / 3.6e9

    def item(kind: str, amount: float, description: str) -> dict[str, Any]:
        return {
            "start": start,
            "end": end,
            "type": kind,
            "source": None,
            "description": description,
            "amount": amount,
            "metadata": {},
            "items": [],
        }

    return {
        "start": start,
        "end": end,
        "type": "instance",
        "source": f"instance-{instance.id}",
        "description": f"Instance {instance.id} Charges ({NOTICE})",
        "amount": float(bill.total_dollars),
        "metadata": {"label": last.label} if last.label is not None else {},
        "items": [
            item(
                "gpu",
                float(bill.gpu_dollars),
                f"{gpu_hours:.3f} hours at ${last.gpu_dollars_per_hour}/hour",
            ),
            item(
                "disk",
                float(bill.disk_dollars),
                f"{disk_hours:.3f} hours at ${instance.disk_dollars_per_hour:.6f}/hour",
            ),
            item(
                "bwd",
                float(bill.down_dollars),
                f"{instance.bytes_down / 1e9:.3f} GB at ${instance.down_dollars_per_gb}/GB",
            ),
            item(
                "bwu",
                float(bill.up_dollars),
                f"{instance.bytes_up / 1e9:.3f} GB at ${instance.up_dollars_per_gb}/GB",
            ),
        ],
    }


def host_report(instance: Instance, bill: Bill, pid: int | None) -> dict[str, Any]:
    """An instance as the rehearsal's own report shows it; dollars as exact strings."""
    running = instance.first(Status.RUNNING)
    return {
        "id": instance.id,
        "label": instance.now.label,
        "machine_id": instance.machine_id,
        "offer_id": instance.ask_id,
        "image": instance.image,
        "runtype": instance.runtype,
        "exists": instance.exists,
        "actual_status": instance.status,
        "cur_state": instance.now.cur_state,
        "intended_status": instance.now.intended_status,
        "status_msg": instance.now.status_msg,
        "created_at": instance.history[0].epoch,
        "running_at": None if running is None else running.epoch,
        "destroyed_at": None if instance.exists else instance.now.epoch,
        "states": [
            {"clock_seconds": moment.clock_us / 1e6, "actual_status": moment.actual_status}
            for moment in instance.history
        ],
        "gpu_seconds": bill.gpu_microseconds / 1e6,
        "disk_seconds": bill.disk_microseconds / 1e6,
        "bytes_down": instance.bytes_down,
        "bytes_up": instance.bytes_up,
        **bill_report(bill),
        "pid": pid,
    }


def bill_report(bill: Bill) -> dict[str, str]:
    """A bill, in exact dollars."""
    return {
        "gpu_dollars": str(bill.gpu_dollars),
        "disk_dollars": str(bill.disk_dollars),
        "bwd_dollars": str(bill.down_dollars),
        "bwu_dollars": str(bill.up_dollars),
        "total_dollars": str(bill.total_dollars),
    }
