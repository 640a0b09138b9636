/** The whole page. */
export function App() {
  return <main>DiffusionTalker Studio</main>;
}
