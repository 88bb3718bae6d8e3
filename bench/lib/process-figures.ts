import { readdirSync, readFileSync } from "node:fs";

/** Processor time in seconds. */
export interface ProcessorTime {
  /** Of all threads that run now. */
  readonly total: number;
  /** Of the thread that runs the event loop. */
  readonly main: number;
  /** Of each thread, by its id. */
  readonly threads: ReadonlyMap<string, number>;
}

/** Processor time of a process since its start, to the nanosecond (proc_pid_schedstat, field 1). */
export function processorTime(pid: number): ProcessorTime {
  const ids = readdirSync(`/proc/${pid}/task`);
  const threads = new Map(ids.map((id) => [id, secondsOf(pid, id)]));
  const total = [...threads.values()].reduce((sum, each) => sum + each, 0);
  return { total, main: threads.get(String(pid)) ?? 0, threads };
}

function secondsOf(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0]) / 1e9;
  } catch {
    // The thread has ended meanwhile.
    return 0;
  }
}

/** Memory of a process in MiB. Anonymous memory is what the system cannot read again from files. */
export function memoryMiB(pid: number): { readonly anonymous: number; readonly resident: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { anonymous: of("RssAnon"), resident: of("VmRSS") };
}
