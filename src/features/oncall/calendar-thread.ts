import { parentPort, type Worker } from "node:worker_threads";
import { startThread, yieldToOthers } from "../../core/runtime.ts";
import { CalendarUnreadable, type ReadFile, type ReadOptions, readCalendar } from "./calendar-read.ts";

/** A file and what is wanted of it. */
export interface CalendarThreadData {
  readonly text: string;
  readonly options: ReadOptions;
}

type Message = ReadFile | { readonly problem: string; readonly isCostly: boolean };

/** Time for one file. Ordinary ones take some milliseconds. */
const LIMIT_MS = 10_000;

let last: Promise<unknown> = Promise.resolve();

/**
 * As {@link readCalendar}, in a thread of its own: what another server sends must not stop this one.
 * One file at a time. @throws CalendarUnreadable
 */
export function readInThread(data: CalendarThreadData): Promise<ReadFile> {
  const reading = last.then(() => readNow(data));
  last = reading.catch(() => undefined);
  return reading;
}

async function readNow(data: CalendarThreadData): Promise<ReadFile> {
  const thread = startThread("calendar", data);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<ReadFile>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new CalendarUnreadable("it takes too long to read", { isCostly: true })),
        LIMIT_MS,
      );
      listen(thread, resolve, reject);
    });
  } finally {
    clearTimeout(timer);
    await thread.terminate();
  }
}

function listen(thread: Worker, resolve: (file: ReadFile) => void, reject: (error: Error) => void): void {
  thread.on("message", (message: Message) => {
    if ("events" in message) resolve(message);
    else reject(new CalendarUnreadable(message.problem, { isCostly: message.isCostly }));
  });
  // Such as too little memory.
  thread.on("error", (cause) => reject(new CalendarUnreadable("it cannot be read", { cause, isCostly: true })));
  thread.on("exit", () => reject(new CalendarUnreadable("it cannot be read", { isCostly: true })));
}

/** Main function of the calendar thread: reads one file. The starting thread ends it. */
export async function runCalendarThread({ text, options }: CalendarThreadData): Promise<void> {
  const port = parentPort;
  if (!port) throw new TypeError("calendars are read in a thread of their own");
  yieldToOthers();
  try {
    port.postMessage((await readCalendar(text, options)) satisfies Message);
  } catch (error) {
    if (!(error instanceof CalendarUnreadable)) throw error;
    port.postMessage({ problem: error.message, isCostly: error.isCostly } satisfies Message);
  }
}
