"""A jobs API without a line of authentication code.

Tollbook stands in front of it, checks the caller's session token and passes on
who the caller is in X-User-ID. This API believes that header, so it must not be
reachable except through tollbook: let it listen on loopback only.

Jobs live in memory; a restart forgets them.
"""

import hashlib
from datetime import datetime, timezone
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request, UploadFile

CHUNK_BYTES = 1 << 20

app = FastAPI(title="Jobs")
jobs: dict[str, dict] = {}


def current_user(request: Request) -> str:
    """Returns the caller's user id, which tollbook sets exactly once."""
    values = request.headers.getlist("x-user-id")
    if len(values) != 1 or not values[0]:
        raise HTTPException(500, "Not exactly one X-User-ID: is tollbook in front of this API?")
    return values[0]


def own_job(job_id: str, user_id: str = Depends(current_user)) -> dict:
    """Returns the job that the path names if it is the caller's."""
    job = jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "No such job")
    if job["user_id"] != user_id:
        raise HTTPException(403, "This job belongs to somebody else")
    return job


def public(job: dict) -> dict:
    """Returns what a client may see of a job."""
    return {name: value for name, value in job.items() if name != "user_id"}


@app.get("/")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/jobs", status_code=201)
async def submit(file: UploadFile, user_id: str = Depends(current_user)) -> dict:
    digest = hashlib.sha256()
    while chunk := await file.read(CHUNK_BYTES):
        digest.update(chunk)
    job = {
        "job_id": str(uuid4()),
        "status": "pending",
        "created_at": datetime.now(timezone.utc).isoformat(),
        "urs_hash": digest.hexdigest(),
        "user_id": user_id,
    }
    jobs[job["job_id"]] = job
    return public(job)


@app.get("/jobs")
async def list_jobs(user_id: str = Depends(current_user)) -> dict:
    return {"jobs": [public(job) for job in jobs.values() if job["user_id"] == user_id]}


@app.get("/jobs/{job_id}")
async def status(job: dict = Depends(own_job)) -> dict:
    return public(job)


@app.delete("/jobs/{job_id}")
async def cancel(job: dict = Depends(own_job)) -> dict:
    job["status"] = "cancelled"
    return public(job)
