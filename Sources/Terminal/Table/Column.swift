/// Where text stands in its column.
package enum Alignment: Sendable, Hashable { case left, right }

/// A column: a stable key for machines, a title for people, and what happens when it gets narrow.
package struct Column: Sendable, Equatable {
  /// Columns with the lowest priority leave first on a narrow terminal; essential ones stay.
  package enum Priority: Int, Sendable, Comparable {
    case extra, low, normal, essential

    package static func < (left: Priority, right: Priority) -> Bool {
      left.rawValue < right.rawValue
    }
  }

  /// `snake_case`; part of the documented JSON and CSV output, so it never changes.
  package var key: String
  package var title: String
  /// Nil: numbers right, everything else left.
  package var alignment: Alignment?
  package var priority: Priority
  /// Wider text is cut; nil means as wide as the terminal allows.
  package var maximumWidth: Int?
  /// Text is cut to less than this only when no other column can leave; nil for what most text bears.
  package var comfortableWidth: Int?
  package var role: Role

  /// - Parameter title: nil takes the key with spaces for underscores.
  package init(
    _ key: String, title: String? = nil, alignment: Alignment? = nil,
    priority: Priority = .normal, maximumWidth: Int? = nil, comfortableWidth: Int? = nil,
    role: Role = .plain
  ) {
    self.key = key
    self.title = title ?? key.replacing("_", with: " ")
    self.alignment = alignment
    self.priority = priority
    self.maximumWidth = maximumWidth
    self.comfortableWidth = comfortableWidth
    self.role = role
  }
}
