/** A stretch of network between the browser and Safelight, which can be cut and mended. */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

export class Wire {
  url = '';
  private port = 0;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  /** Leads to an address such as `http://127.0.0.1:8080`. */
  constructor(private readonly to: string) {}

  async mend(): Promise<void> {
    const server = (this.server = createServer((near) => {
      const far = connect(Number(new URL(this.to).port), '127.0.0.1');
      for (const [one, other] of [[near, far], [far, near]] as const) {
        this.sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    }));
    await new Promise<void>((ready) => server.listen(this.port, '127.0.0.1', ready));
    this.port = (server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async cut(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    const closed = new Promise((done) => (server ? server.close(done) : done(undefined)));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
