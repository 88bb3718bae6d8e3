import { useEffect } from "preact/hooks";
import type { Job } from "../../../src/client/api-types.gen.ts";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { Card, Progress, toast } from "../../ui/index.ts";

/** The job that makes or verifies an archive. */
interface ArchiveJob extends Job {
  readonly progress: { readonly bytes: number; readonly ofBytes: number } | null;
  readonly result: { readonly name: string; readonly ok?: boolean; readonly problem?: string | null } | null;
}

export interface Work {
  readonly jobId: string;
  /** Absent: a new archive is created. */
  readonly verified?: string;
}

/** The end may pass before the stream is followed. */
const POLL_MS = 2000;
const ENDED = new Set(["succeeded", "dead", "cancelled"]);

/** Follows the job until it ends, and reports how. */
export function WorkCard({ work, onEnd }: { readonly work: Work; readonly onEnd: () => void }) {
  const query = useGet<ArchiveJob>(`/jobs/${work.jobId}`);
  useStream("system", ({ type }) => (type === "jobs.changed" || type === "job.dead") && query.reload());
  const job = query.data;
  useEffect(() => {
    const timer = setInterval(() => query.reload(), POLL_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (!job || !ENDED.has(job.state)) return;
    if (job.result?.problem) toast.error(`${job.result.name}: ${job.result.problem}`);
    else if (job.result) toast.ok(`${job.result.name} is complete.`);
    else toast.error(job.lastError ?? "It was cancelled.");
    onEnd();
  }, [job]);
  const { bytes = 0, ofBytes = 0 } = job?.progress ?? {};
  return (
    <Card>
      <Progress
        label={work.verified === undefined ? "Making an archive" : `Verifying ${work.verified}`}
        value={ofBytes > 0 ? bytes : undefined}
        max={ofBytes}
        showValue
      />
    </Card>
  );
}
