import ForecastService
import Testing

@Suite("Query templates")
struct QueryTemplateTests {
  @Test(
    "placeholders are found where SQL has them and nowhere else",
    arguments: [
      ("SELECT 1 WHERE t <= :cutoff", "SELECT 1 WHERE t <= X"),
      ("SELECT :cutoff::date, a::text", "SELECT X::date, a::text"),
      ("SELECT ':cutoff', 'it''s :cutoff' , :cutoff", "SELECT ':cutoff', 'it''s :cutoff' , X"),
      ("SELECT E'\\':cutoff', :cutoff", "SELECT E'\\':cutoff', X"),
      ("SELECT e'a\\\\', :cutoff", "SELECT e'a\\\\', X"),
      ("SELECT \"a:cutoff\"\"b\", :cutoff", "SELECT \"a:cutoff\"\"b\", X"),
      (
        "SELECT $$:cutoff$$, $q$ $$ :cutoff $q$, :cutoff",
        "SELECT $$:cutoff$$, $q$ $$ :cutoff $q$, X"
      ),
      ("SELECT 1 -- :cutoff\n, :cutoff", "SELECT 1 -- :cutoff\n, X"),
      ("SELECT 1 /* a /* :cutoff */ ' */, :cutoff", "SELECT 1 /* a /* :cutoff */ ' */, X"),
      ("SELECT a[1:2], a[1:n], f(x := :cutoff)", "SELECT a[1:2], a[1:n], f(x := X)"),
      ("SELECT $1, a$b$c, :cutoff;", "SELECT $1, a$b$c, X"),
      ("  select 1 ; -- done", "  select 1"),
      ("WITH a AS (SELECT 1) SELECT * FROM a -- end", "WITH a AS (SELECT 1) SELECT * FROM a"),
      ("(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"),
      ("/* c */ VALUES ('é', :cutoff)", "/* c */ VALUES ('é', X)"),
    ])
  func rendered(sql: String, expected: String) throws {
    #expect(try QueryTemplate(sql).rendered(replacing: "X") == expected)
  }

  @Test(
    "what is refused, and where",
    arguments: [
      ("", 0, "no SQL"), ("-- only", 0, "no SQL"), ("DELETE FROM t", 0, "DELETE"),
      ("SELECT :foo", 7, ":foo"), ("SELECT :cutoffs", 7, ":cutoffs"),
      ("SELECT 'a", 7, "never ends"),
      ("SELECT \"a", 7, "never ends"), ("SELECT $x$ a $y$", 7, "never ends"),
      ("SELECT /* /* */", 7, "never ends"), ("SELECT 1; SELECT 2", 8, "second statement"),
      ("SELECT E'\\", 7, "never ends"),
    ])
  func refused(sql: String, offset: Int, part: String) {
    let problem = #expect(throws: QueryTemplate.Problem.self) { try QueryTemplate(sql) }
    #expect(problem?.offset == offset)
    #expect(problem?.message.contains(part) == true)
  }
}
