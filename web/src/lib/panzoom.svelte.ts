import { fit, placed, settle, zoomAbout, type Size, type View } from './compare';

type Handlers = {
  /** One finger or the mouse at a place of the frame while the picture is shown whole. */
  slide?: (x: number) => void;
  /** A quick sideways movement of a finger over the whole picture: -1 to the previous, 1 to the next. */
  swipe?: (way: -1 | 1) => void;
  /** Takes one finger or the mouse for drawing. `undo`: a second finger came, so the first did not mean to draw. */
  paint?: (at: { x: number; y: number; alt: boolean }, phase: 'start' | 'move' | 'end' | 'undo') => void;
};

/** Looking around in a picture. Panes that share one look at the same place. */
export class PanZoom {
  view: View = $state.raw({ z: 1, x: 0, y: 0 });
  frame: Size = $state.raw({ w: 0, h: 0 });
  picture: Size = $state.raw({ w: 0, h: 0 });
  moving = $state(false);

  readonly fitted = $derived(fit(this.picture, this.frame));
  readonly rect = $derived(placed(this.fitted, this.view));
  /** Screen pixels (CSS) per picture pixel. */
  readonly scale = $derived(this.picture.w ? this.rect.w / this.picture.w : 1);
  readonly most = $derived(this.fitted.w ? Math.max(4, (4 * this.picture.w) / this.fitted.w) : 4);
  readonly whole = $derived(this.view.z <= 1.001);

  set(view: View) {
    this.view = settle(view, this.fitted, this.frame);
  }

  zoom(factor: number, x = this.frame.w / 2, y = this.frame.h / 2) {
    this.set(zoomAbout(this.view, factor, x, y, this.most));
  }

  pan(dx: number, dy: number) {
    this.set({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  reset() {
    this.view = { z: 1, x: 0, y: 0 };
  }

  /** One picture pixel on one screen pixel, or back to the whole picture. */
  actual(x?: number, y?: number) {
    if (!this.whole) return this.reset();
    const one = this.picture.w / (this.fitted.w || 1) / devicePixelRatio;
    this.zoom(one > 1.2 ? one : 2.5, x, y);
  }

  /** Handles + - 0 1 and, while zoomed in, the arrows. Returns whether the key was used. */
  key(event: KeyboardEvent, arrows = true): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const step = 80;
    const way = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (event.key === '+' || event.key === '=') this.zoom(1.5);
    else if (event.key === '-' || event.key === '_') this.zoom(1 / 1.5);
    else if (event.key === '0') this.reset();
    else if (event.key === '1') this.actual();
    else if (way && !this.whole && (arrows || event.shiftKey)) this.pan(way[0]!, way[1]!);
    else return false;
    event.preventDefault();
    return true;
  }

  /** Binds wheel, mouse and fingers of a frame. */
  attach({ slide, swipe, paint }: Handlers = {}) {
    return (node: HTMLElement) => {
      const fingers = new Map<number, { x: number; y: number; alt: boolean }>();
      let start = { x: 0, y: 0, at: 0 };
      let pinched = false;
      const size = new ResizeObserver(() => {
        this.frame = { w: node.clientWidth, h: node.clientHeight };
        this.set(this.view);
      });
      size.observe(node);
      const place = (event: { clientX: number; clientY: number; altKey: boolean }) => {
        const box = node.getBoundingClientRect();
        return { x: event.clientX - box.left, y: event.clientY - box.top, alt: event.altKey };
      };
      const wheel = (event: WheelEvent) => {
        event.preventDefault();
        const { x, y } = place(event);
        const lines = event.deltaMode === 1 ? 16 : 1;
        // A pinch on a touchpad arrives as a wheel with ctrl and small steps.
        this.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 320)), x, y);
      };
      const down = (event: PointerEvent) => {
        if (event.button !== 0 || (event.target as Element).closest('button, a')) return;
        const p = place(event);
        fingers.set(event.pointerId, p);
        node.setPointerCapture(event.pointerId);
        if (fingers.size === 1) {
          start = { ...p, at: event.timeStamp };
          pinched = false;
          if (paint) paint(p, 'start');
          else if (this.whole && event.pointerType === 'mouse') slide?.(p.x);
        } else {
          if (!pinched) paint?.(p, 'undo');
          pinched = true;
        }
        this.moving = true;
      };
      const move = (event: PointerEvent) => {
        const before = fingers.get(event.pointerId);
        if (!before) return;
        const p = place(event);
        if (fingers.size === 2) {
          const other = [...fingers].find(([id]) => id !== event.pointerId)![1];
          const was = Math.hypot(before.x - other.x, before.y - other.y);
          const is = Math.hypot(p.x - other.x, p.y - other.y);
          if (was > 0) this.zoom(is / was, (p.x + other.x) / 2, (p.y + other.y) / 2);
          this.pan((p.x - before.x) / 2, (p.y - before.y) / 2);
        } else if (paint) {
          if (!pinched) paint(p, 'move');
        } else if (!this.whole) this.pan(p.x - before.x, p.y - before.y);
        else if (!pinched) slide?.(p.x);
        fingers.set(event.pointerId, p);
      };
      const up = (event: PointerEvent) => {
        const p = fingers.get(event.pointerId);
        fingers.delete(event.pointerId);
        this.moving = fingers.size > 0;
        if (paint && p && !pinched) return paint(p, 'end');
        if (!p || pinched || !this.whole || event.type === 'pointercancel' || fingers.size) return;
        const dx = p.x - start.x;
        if (event.pointerType !== 'mouse' && Math.abs(dx) > 50 && Math.abs(dx) > 1.5 * Math.abs(p.y - start.y) && event.timeStamp - start.at < 600) swipe?.(dx < 0 ? 1 : -1);
        else if (event.pointerType !== 'mouse' && Math.abs(dx) < 8) slide?.(p.x);
      };
      const twice = (event: MouseEvent) => {
        if (paint || (event.target as Element).closest('button, a')) return;
        const { x, y } = place(event);
        this.actual(x, y);
      };
      node.addEventListener('wheel', wheel, { passive: false });
      node.addEventListener('pointerdown', down);
      node.addEventListener('pointermove', move);
      node.addEventListener('pointerup', up);
      node.addEventListener('pointercancel', up);
      node.addEventListener('dblclick', twice);
      return () => {
        size.disconnect();
        node.removeEventListener('wheel', wheel);
        node.removeEventListener('pointerdown', down);
        node.removeEventListener('pointermove', move);
        node.removeEventListener('pointerup', up);
        node.removeEventListener('pointercancel', up);
        node.removeEventListener('dblclick', twice);
      };
    };
  }
}
