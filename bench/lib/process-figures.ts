import { readdirSync, readFileSync } from "node:fs";

/** Processor time in seconds. */
export interface ProcessorTime {
  /** Of all threads that run now. */
  readonly total: number;
  /** Of the thread that runs the event loop. */
  readonly main: number;
}

/** Processor time of a process since its start, to the nanosecond (proc_pid_schedstat, field 1). */
export function processorTime(pid: number): ProcessorTime {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => secondsOf(pid, id));
  return { total: threads.reduce((sum, each) => sum + each, 0), main: secondsOf(pid, String(pid)) };
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
