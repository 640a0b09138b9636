// Tables of class `sortable`: a press on a column's head sorts by it, the next one the other way round, the third one
// brings back the order that the page came with. What has no number stands last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const given = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];

  const compare = (column, sign) => (first, second) => {
    const [a, b] = [first, second].map((row) => row.cells[column].textContent.trim());
    if (column === 0) return sign * a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [parseFloat(a), parseFloat(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) return sign * a.localeCompare(b);
    return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y);
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = { ascending: "descending", descending: "none" }[head.ariaSort] ?? "ascending";
      for (const other of heads) other.ariaSort = "none";
      head.ariaSort = order;
      const rows = [...given];
      if (order !== "none") rows.sort(compare(column, order === "ascending" ? 1 : -1));
      body.append(...rows);
    });
  });
}
