/** @returns milliseconds of processor time of this process, which other programs on the machine do not add to */
export function processorMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
