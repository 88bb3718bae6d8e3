import { readdirSync, readFileSync } from "node:fs";

/** Processor time in seconds. */
export interface ProcessorTime {
  /** Of all threads that run now. */
  readonly total: number;
  /** Also of threads that have ended, but to a hundredth of a second only. */
  readonly ever: number;
  /** Of the thread that runs the event loop. */
  readonly main: number;
  /** Of each thread, by its id. */
  readonly threads: ReadonlyMap<string, number>;
}

const TICKS_PER_SECOND = 100;

/** Processor time of a process since its start, to the nanosecond (proc_pid_schedstat, field 1). */
export function processorTime(pid: number): ProcessorTime {
  const ids = readdirSync(`/proc/${pid}/task`);
  const threads = new Map(ids.map((id) => [id, secondsOf(pid, id)]));
  const total = [...threads.values()].reduce((sum, each) => sum + each, 0);
  return { total, ever: everOf(pid), main: threads.get(String(pid)) ?? 0, threads };
}

/** Fields 14 and 15 of proc_pid_stat; the second one, a name in brackets, may have spaces. */
function everOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
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
