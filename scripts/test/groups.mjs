// Which test files share a process, and which process starts next.

/**
 * Test files of one process: loading the program costs each process a second of processor time. The
 * last processes get fewer, so that no processor is idle at the end.
 */
const MOST_FILES = 40;
const FEWEST_FILES = 3;
/** The same for slow files, in seconds of the files of one process. */
const MOST_SECONDS = 120;
const FEWEST_SECONDS = 15;
const STRIDE = 16;
/** Quick files are not measured one by one: three processes of them keep two processors busy. */
const QUICK_SHARE = 0.7;
/** A file that uses less of a processor mostly waits, for a clock, a disk or another process. */
const WAITING_SHARE = 0.5;
const LEAST_SHARE = 0.05;

/**
 * @param slow `seconds` and `cpuSeconds` of slow files
 * @returns groups of files, each with its `seconds` and the `share` of a processor that it uses; the
 *   longest first, because they would be late at the end
 */
export function makeGroups(files, slow, processors) {
  const measured = files.filter((file) => slow.has(file)).map((file) => ({ file, ...slow.get(file) }));
  const isWaiting = ({ seconds, cpuSeconds }) => cpuSeconds < seconds * WAITING_SHARE;
  return [
    ...slowGroups(measured.filter(isWaiting), 3 * processors),
    ...slowGroups(
      measured.filter((each) => !isWaiting(each)),
      2 * processors,
    ),
  ]
    .sort((one, other) => other.seconds - one.seconds)
    .concat(
      quickGroups(
        files.filter((file) => !slow.has(file)),
        processors,
      ),
    );
}

/**
 * @param waiting groups, in the order in which they should start
 * @param limits the most `processes`, and the most that the shares of running groups may add up to
 * @returns the index of the group that starts next, or -1 if one that runs has to end first
 */
export function nextGroup(waiting, running, limits) {
  if (running.length === 0) return waiting.length > 0 ? 0 : -1;
  if (running.length >= limits.processes) return -1;
  const used = running.reduce((sum, { share }) => sum + share, 0);
  return waiting.findIndex(({ share }) => used + share <= limits.share);
}

/** Runs every group by `start`, several at a time. @returns their results in the order of their ends */
export async function runGroups(groups, limits, start) {
  const waiting = [...groups];
  const running = new Map();
  const results = [];
  const startOne = () => {
    const [group] = waiting.splice(nextGroup(waiting, [...running.keys()], limits), 1);
    const ended = start(group).then((result) => ({ group, result }));
    running.set(group, ended);
  };
  while (waiting.length + running.size > 0) {
    while (nextGroup(waiting, [...running.keys()], limits) >= 0) startOne();
    const { group, result } = await Promise.race(running.values());
    running.delete(group);
    results.push(result);
  }
  return results;
}

/** The longest first; towards the end the groups become smaller. */
function slowGroups(measured, processes) {
  const groups = [];
  let left = measured.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const { file, seconds, cpuSeconds } of measured.sort((one, other) => other.seconds - one.seconds)) {
    const most = Math.max(FEWEST_SECONDS, Math.min(MOST_SECONDS, left / processes));
    const last = groups.at(-1);
    const hasRoom = last !== undefined && last.seconds + seconds <= most;
    const group = hasRoom ? last : { files: [], seconds: 0, cpuSeconds: 0 };
    if (!hasRoom) groups.push(group);
    group.files.push(file);
    group.seconds += seconds;
    group.cpuSeconds += cpuSeconds;
    left -= seconds;
  }
  return groups.map(({ files, seconds, cpuSeconds }) => ({
    files,
    seconds,
    share: Math.max(LEAST_SHARE, cpuSeconds / seconds),
  }));
}

/** Neighbours, which take about as long as each other, get into different groups. */
function quickGroups(quick, processors) {
  const groups = [];
  const all = Array.from({ length: STRIDE }, (_, from) => quick.filter((_, at) => at % STRIDE === from)).flat();
  for (let at = 0; at < all.length; ) {
    const share = Math.ceil((all.length - at) / (2 * (processors + 1)));
    const size = Math.max(FEWEST_FILES, Math.min(MOST_FILES, share));
    groups.push({ files: all.slice(at, at + size), seconds: 0, share: QUICK_SHARE });
    at += size;
  }
  return groups;
}
