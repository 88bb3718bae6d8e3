/**
 * The port cannot be had, or the address is another machine's: uWebSockets does not tell which. The
 * message says which, and what to do.
 */
export class ListenRefused extends Error {
  /** @param isExtra one of `extraPorts`. */
  constructor(host: string, port: number, isExtra = false) {
    const choice = isExtra ? "in extraPorts or PRISM_EXTRA_PORTS" : "with --port or PORT (0 takes a free one)";
    super(
      `cannot listen on ${host}:${port}: the port is taken or not allowed, or this machine has no such address; choose another ${choice}`,
    );
    this.name = "ListenRefused";
  }
}
