"""What the project is made of: licences, bills of materials, known vulnerabilities."""
