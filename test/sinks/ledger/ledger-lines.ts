import type { Socket } from 'node:net'

/** Hands over each whole line that comes; what a broken connection leaves unfinished is no line. */
export function onLines(socket: Socket, take: (line: string) => void): void {
  let chunks: string[] = []
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    const lines = text.split('\n')
    const unfinished = lines.pop()!
    lines.forEach((line, index) => {
      take(index === 0 ? [...chunks, line].join('') : line)
      chunks = []
    })
    chunks.push(unfinished)
  })
}
