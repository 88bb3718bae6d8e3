/** The port cannot be had. The message says which, and what to do. */
export class ListenRefused extends Error {
  constructor(host: string, port: number) {
    super(
      `cannot listen on ${host}:${port}: the port is taken or not allowed; choose another with --port or PORT (0 takes a free one)`,
    );
    this.name = "ListenRefused";
  }
}
